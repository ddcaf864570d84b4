package callers

import (
	"encoding/json"
	"io"
	"slices"
	"strings"
)

// Engines put each container in a cgroup of its own, which has the container's id
// in its name: by systemd's rules one of these begins it and ".scope" ends it.
var scopes = []string{"docker-", "libpod-", "cri-containerd-", "crio-", "nerdctl-", "runc-", "machine-"}

// LXC and systemd-nspawn name theirs after the container, too.
const (
	lxcCgroup     = "lxc.payload."
	nspawnCgroup  = "systemd-nspawn@"
	nspawnService = ".service"
)

// podmanMonitor begins what Podman puts in the place of an id for the process
// that watches a container, which is in a cgroup of its own.
const podmanMonitor = "conmon-"

// containerOf is the id, or the name, of the container of a cgroup; false if its
// name is not one that engines give.
func containerOf(cgroup string) (id string, ok bool) {
	if name, ok := strings.CutSuffix(cgroup, ".scope"); ok {
		for _, scope := range scopes {
			if id, ok := strings.CutPrefix(name, scope); ok {
				return unescaped(id), !strings.HasPrefix(id, podmanMonitor)
			}
		}
	}
	if id, ok := strings.CutPrefix(cgroup, lxcCgroup); ok {
		return id, true
	}
	if name, ok := strings.CutPrefix(cgroup, nspawnCgroup); ok {
		id, ok := strings.CutSuffix(name, nspawnService)
		return unescaped(id), ok
	}
	return cgroup, isID(cgroup)
}

// containerCgroups are the names that the cgroup of a container may have when it
// starts. Not all engines write ids as systemd would.
func containerCgroups(id string) []string {
	var names []string
	for _, scope := range scopes {
		names = append(names, scope+escaped(id)+".scope")
		if escaped(id) != id {
			names = append(names, scope+id+".scope")
		}
	}
	names = append(names, lxcCgroup+id, nspawnCgroup+escaped(id)+nspawnService)
	if isID(id) {
		names = append(names, id)
	}
	return slices.DeleteFunc(names, func(name string) bool { return strings.ContainsRune(name, '/') })
}

// isID says whether a text is the whole id of a container.
func isID(text string) bool { return len(text) == 64 && isHex(text) }

func isHex(text string) bool { return strings.Trim(text, "0123456789abcdef") == "" }

// shortID is how much of an id has to be said.
const shortID = 6

// means says whether somebody who said a value may mean a container: by its id,
// or by the beginning of that.
func means(value, id string) bool {
	return value == id || len(value) >= shortID && isHex(value) && isID(id) && strings.HasPrefix(id, value)
}

// escaped is a part of the name of a unit, as systemd writes it.
func escaped(name string) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == ':', c == '_', c == '.' && i > 0:
			b.WriteByte(c)
		case c == '/':
			b.WriteByte('-')
		default:
			b.WriteString(`\x` + string(digits[c>>4]) + string(digits[c&15]))
		}
	}
	return b.String()
}

// unescaped undoes that, but for dashes: no container has a slash in its name.
func unescaped(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if strings.HasPrefix(name[i:], `\x`) && i+3 < len(name) {
			high, low := digit(name[i+2]), digit(name[i+3])
			if high >= 0 && low >= 0 {
				b.WriteByte(byte(high<<4 | low))
				i += 3
				continue
			}
		}
		b.WriteByte(name[i])
	}
	return b.String()
}

func digit(c byte) int { return strings.IndexByte("0123456789abcdef", c) }

// folderIn is the cgroup in what runc and crun keep of a container that runs: a
// path, which may be one below where cgroup2 is mounted. It is "" if there is none.
func folderIn(state []byte) (path string, below bool) {
	var kept struct {
		// Paths are by controller; that of version 2 has no name.
		Paths map[string]string `json:"cgroup_paths"`
		Path  string            `json:"cgroup-path"`
	}
	if json.Unmarshal(state, &kept) != nil {
		return "", false
	}
	if kept.Path != "" {
		return kept.Path, true
	}
	return kept.Paths[""], false
}

// storedIDs reads what Podman knows, a list of containers, for the ids of those
// of a name.
func storedIDs(list io.Reader, name string) ([]string, error) {
	var all []struct {
		ID    string   `json:"id"`
		Names []string `json:"names"`
	}
	if err := json.NewDecoder(list).Decode(&all); err != nil {
		return nil, err
	}
	var ids []string
	for _, c := range all {
		if slices.Contains(c.Names, name) {
			ids = append(ids, c.ID)
		}
	}
	return ids, nil
}

// bundleNames reads the names that Kubernetes and nerdctl gave a container of
// containerd, from the configuration of its bundle.
func bundleNames(config io.Reader) ([]string, error) {
	var bundle struct {
		Annotations map[string]string `json:"annotations"`
	}
	if err := json.NewDecoder(config).Decode(&bundle); err != nil {
		return nil, err
	}
	var names []string
	for _, key := range []string{"nerdctl/name", "io.kubernetes.cri.container-name"} {
		if name := bundle.Annotations[key]; name != "" {
			names = append(names, name)
		}
	}
	return names, nil
}
