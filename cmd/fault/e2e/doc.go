// Package e2e holds nothing but tests. They run the built command as people
// do, against real servers and with real clients, in network namespaces of
// their own.
//
//	REQUIRE_ROOT=1 go test ./cmd/fault/e2e
//
// FAULT_BINARY names a binary to test; otherwise one is built. Without root,
// or a program that a test needs, that test is skipped, unless REQUIRE_ROOT is
// set.
package e2e
