// Package load makes traffic and measures what becomes of it: a server that
// does what the first byte of a connection asks for, and jobs for its clients.
//
// Both use sockets and epoll as they are, on threads of their own, so that
// little of what is measured is the tool's; each is a process of its own. They
// exist on Linux only.
package load
