// Command mkinitramfs writes a folder as an archive that the Linux kernel takes
// as its first root file system, so that no cpio program is needed, and no root
// for the one device in it:
//
//	mkinitramfs FOLDER OUT
//
// To the folder's files it adds /dev/console, which the kernel opens for the
// first process. Everything belongs to root and has no date.
package main

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	modeDir  = 0o040000
	modeFile = 0o100000
	modeChar = 0o020000
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: mkinitramfs FOLDER OUT")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "mkinitramfs:", err)
		os.Exit(1)
	}
}

func run(folder, out string) error {
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	defer f.Close()
	a := &archive{w: bufio.NewWriterSize(f, 1<<20)}
	a.entry("dev", modeDir|0o755, device{}, nil)
	a.entry("dev/console", modeChar|0o600, device{5, 1}, nil)
	if err := a.addFolder(os.DirFS(folder)); err != nil {
		return err
	}
	a.entry("TRAILER!!!", 0, device{}, nil)
	if err := a.w.Flush(); err != nil {
		return err
	}
	return f.Close()
}

// archive is written in the "newc" format: for each file a header, its name and
// its contents, each filled up to a multiple of four bytes.
type archive struct {
	w       *bufio.Writer // it keeps the first error, which Flush returns
	written int
	files   int
}

func (a *archive) addFolder(root fs.FS) error {
	return fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		perm := int(info.Mode().Perm())
		switch {
		case d.IsDir():
			a.entry(name, modeDir|perm, device{}, nil)
		case d.Type().IsRegular():
			data, err := fs.ReadFile(root, name)
			if err != nil {
				return err
			}
			a.entry(name, modeFile|perm, device{}, data)
		default:
			return fmt.Errorf("add %s: neither a file nor a folder", filepath.FromSlash(name))
		}
		return nil
	})
}

type device struct{ major, minor int }

func (a *archive) entry(name string, mode int, dev device, data []byte) {
	a.files++
	const uid, gid, links, date, onMajor, onMinor, checksum = 0, 0, 1, 0, 0, 0, 0
	a.write([]byte("070701"))
	for _, field := range []int{
		a.files, mode, uid, gid, links, date, len(data),
		onMajor, onMinor, dev.major, dev.minor, len(name) + 1, checksum,
	} {
		a.write(fmt.Appendf(nil, "%08x", field))
	}
	a.write(append([]byte(name), 0))
	a.pad()
	a.write(data)
	a.pad()
}

func (a *archive) pad() { a.write(make([]byte, (4-a.written%4)%4)) }

func (a *archive) write(b []byte) {
	n, _ := a.w.Write(b)
	a.written += n
}
