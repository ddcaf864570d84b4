// Package sockdiag asks the kernel about the TCP connections of a network
// namespace, and has it reset some: inet_diag, as ss(8) does. On systems other
// than Linux the package is empty.
package sockdiag
