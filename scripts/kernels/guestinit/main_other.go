//go:build !linux

package main

import "fmt"

func main() { fmt.Println("guestinit is the first process of a Linux guest") }
