package bpf

//go:generate go tool bpf2go -tags linux -go-package bpf -type verdict -type waiting intercept intercept.c
//go:generate go tool bpf2go -tags linux -go-package bpf follow follow.c
