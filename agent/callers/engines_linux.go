package callers

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// engines is where container engines keep what they know; a test has others.
type engines struct {
	sockets []string // of Docker and of what speaks as it does
	stores  []string // patterns of Podman's lists
	bundles []string // patterns of containerd's configurations
	states  []string // patterns of what runc and crun keep
}

var hostEngines = engines{
	sockets: []string{"/run/docker.sock", "/run/podman/podman.sock"},
	stores: []string{
		"/var/lib/containers/storage/*-containers/containers.json",
		"/home/*/.local/share/containers/storage/*-containers/containers.json",
	},
	bundles: []string{"/run/containerd/io.containerd.runtime.v2.task/*/*/config.json"},
	states: []string{
		"/run/runc/*/state.json", "/run/crun/*/status", "/run/user/*/runc/*/state.json", "/run/user/*/crun/*/status",
		"/run/docker/runtime-runc/*/*/state.json", "/run/containerd/runc/*/*/state.json",
	},
}

// ids are those of the containers that somebody may mean by a value, whether
// they run or not. What cannot be asked knows none.
func (e *engines) ids(ctx context.Context, value string) []string {
	var ids []string
	for _, socket := range e.sockets {
		if id := askEngine(ctx, socket, value); id != "" {
			ids = append(ids, id)
		}
	}
	each(e.stores, func(path string, f io.Reader) {
		found, _ := storedIDs(f, value)
		ids = append(ids, found...)
	})
	each(e.bundles, func(path string, f io.Reader) {
		id := filepath.Base(filepath.Dir(path))
		names, _ := bundleNames(f)
		if means(value, id) || slices.Contains(names, value) {
			ids = append(ids, id)
		}
	})
	slices.Sort(ids)
	return slices.Compact(ids)
}

// folders are the cgroups of the containers that run, by what runs them.
func (e *engines) folders(root string, is func(id string) bool) []string {
	var folders []string
	for _, pattern := range e.states {
		paths, _ := filepath.Glob(pattern)
		for _, path := range paths {
			if !is(filepath.Base(filepath.Dir(path))) {
				continue
			}
			state, _ := os.ReadFile(path)
			switch folder, below := folderIn(state); {
			case below:
				folders = append(folders, filepath.Join(root, folder))
			case folder != "":
				folders = append(folders, folder)
			}
		}
	}
	return folders
}

// each opens the files of some patterns.
func each(patterns []string, do func(path string, f io.Reader)) {
	for _, pattern := range patterns {
		paths, _ := filepath.Glob(pattern)
		for _, path := range paths {
			if f, err := os.Open(path); err == nil {
				do(path, f)
				f.Close()
			}
		}
	}
}

// engineTime bounds what an engine may take for an answer.
const engineTime = 2 * time.Second

// askEngine asks the API of Docker for the id of a container; "" if it does not
// know it, or cannot be asked.
func askEngine(ctx context.Context, socket, value string) string {
	if _, err := os.Stat(socket); err != nil || strings.ContainsRune(value, '/') {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, engineTime)
	defer cancel()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://engine/containers/%s/json", url.PathEscape(value)), nil)
	if err != nil {
		return ""
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	var known struct{ Id string }
	if response.StatusCode != http.StatusOK || json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&known) != nil {
		return ""
	}
	return known.Id
}
