// Command pack writes a directory into an archive, the same bytes for the same
// content: sorted, without owners, and with one time for everything.
//
//	go run ./.ci/pack EPOCH DIRECTORY FILE.tar.gz|FILE.tgz|FILE.zip
package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "pack: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return errors.New("usage: pack EPOCH DIRECTORY FILE")
	}
	epoch, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil {
		return err
	}
	out, err := os.Create(args[2])
	if err != nil {
		return err
	}
	if strings.HasSuffix(args[2], ".zip") {
		err = zipped(out, args[1], time.Unix(epoch, 0).UTC())
	} else {
		err = tarred(out, args[1], time.Unix(epoch, 0).UTC())
	}
	return errors.Join(err, out.Close())
}

func tarred(out io.Writer, dir string, at time.Time) error {
	compressed, err := gzip.NewWriterLevel(out, gzip.BestCompression)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(compressed)
	err = walk(dir, func(name string, mode fs.FileMode, content []byte) error {
		header := &tar.Header{Name: name, Mode: int64(mode.Perm()), Size: int64(len(content)), ModTime: at, Typeflag: tar.TypeReg}
		if mode.IsDir() {
			header.Typeflag = tar.TypeDir
		}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		_, err := archive.Write(content)
		return err
	})
	return errors.Join(err, archive.Close(), compressed.Close())
}

func zipped(out io.Writer, dir string, at time.Time) error {
	archive := zip.NewWriter(out)
	err := walk(dir, func(name string, mode fs.FileMode, content []byte) error {
		header := &zip.FileHeader{Name: name, Modified: at, Method: zip.Deflate}
		header.SetMode(mode)
		file, err := archive.CreateHeader(header)
		if err == nil {
			_, err = file.Write(content)
		}
		return err
	})
	return errors.Join(err, archive.Close())
}

// walk calls for the directory and all that is in it, by name. Of the modes only
// "executable" is kept.
func walk(dir string, add func(name string, mode fs.FileMode, content []byte) error) error {
	return filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		name := path.Join(filepath.Base(dir), filepath.ToSlash(below))
		info, err := entry.Info()
		switch {
		case err != nil:
			return err
		case info.IsDir():
			return add(name+"/", fs.ModeDir|0o755, nil)
		case !info.Mode().IsRegular():
			return fmt.Errorf("%s is neither a file nor a directory", file)
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if info.Mode()&0o111 != 0 {
			mode = 0o755
		}
		return add(name, mode, content)
	})
}
