package bpf

//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -tags linux -go-package bpf -type verdict -type rule_flags intercept intercept.c -- -O2 -Wall -Werror -I/usr/include/x86_64-linux-gnu
