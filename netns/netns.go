// Package netns opens, makes and enters Linux network namespaces, opens
// sockets inside them and joins them by virtual links.
//
// A namespace is a property of an OS thread. The Go scheduler moves goroutines
// between threads, so a namespace is entered for one function call, see NS.Do, or
// by a thread that does nothing else, see Thread. A socket belongs for life to
// the namespace it was made in; once opened, it can be used from any goroutine.
//
// On systems other than Linux the package is empty.
package netns
