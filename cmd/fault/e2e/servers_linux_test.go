package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// page is what the web server answers at /.
const page = "it-arrived"

// nginxConf serves dir on both addresses of the host, plain and with TLS. It
// is one process, which is easier to end.
const nginxConf = `
daemon off;
master_process off;
pid nginx.pid;
error_log stderr warn;
events { worker_connections 4096; }
http {
	access_log off;
	sendfile on;
	client_body_temp_path tmp-body;
	proxy_temp_path tmp-proxy;
	fastcgi_temp_path tmp-fastcgi;
	uwsgi_temp_path tmp-uwsgi;
	scgi_temp_path tmp-scgi;
	server {
		listen %[1]v:80;
		listen [%[2]v]:80;
		listen %[1]v:443 ssl;
		listen [%[2]v]:443 ssl;
		ssl_certificate server.pem;
		ssl_certificate_key server.key;
		location / { root www; }
		location = / { return 200 "` + page + `"; }
	}
}
`

// serveWeb runs nginx on a host, and returns its folder: ca.pem is there, and
// what is in www is served.
func (h *host) serveWeb(t *testing.T) string {
	t.Helper()
	dir := sharedDir(t)
	certify(t, dir, h.v4, h.v6)
	if err := os.Mkdir(filepath.Join(dir, "www"), 0o755); err != nil {
		t.Fatal(err)
	}
	conf := writeFile(t, filepath.Join(dir, "nginx.conf"), fmt.Sprintf(nginxConf, h.v4, h.v6))
	p := start(t, h, program(t, "nginx", "-p", dir, "-c", conf))
	h.awaitPort(t, p, 443)
	return dir
}

// servePostgres runs PostgreSQL on a host, as the user that its package has
// made: it refuses to be root.
func (h *host) servePostgres(t *testing.T) { h.postgres(t, "-c", "ssl=off") }

// servePostgresTLS is that with a certificate of its own.
func (h *host) servePostgresTLS(t *testing.T) (ca string) {
	t.Helper()
	dir, who := sharedDir(t), credential(t, "postgres")
	certify(t, dir, h.v4, h.v6)
	key := filepath.Join(dir, "server.key")
	err := os.Chown(key, int(who.Uid), int(who.Gid))
	if err == nil {
		err = os.Chmod(key, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	h.postgres(t, "-c", "ssl=on", "-c", "ssl_cert_file="+filepath.Join(dir, "server.pem"), "-c", "ssl_key_file="+key)
	return filepath.Join(dir, "ca.pem")
}

func (h *host) postgres(t *testing.T, settings ...string) {
	t.Helper()
	dir := sharedDir(t)
	postgres := credential(t, "postgres")
	if err := os.Chown(dir, int(postgres.Uid), int(postgres.Gid)); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	answer(t, h, as(postgres, program(t, "initdb", "--no-sync", "-A", "trust", "-U", "postgres", "-D", data)))
	access, err := os.OpenFile(filepath.Join(data, "pg_hba.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer access.Close()
	if _, err := access.WriteString("host all all 0.0.0.0/0 trust\nhost all all ::/0 trust\n"); err != nil {
		t.Fatal(err)
	}
	settings = append(settings, "-D", data, "-c", fmt.Sprintf("listen_addresses=%v,%v", h.v4, h.v6),
		"-c", "unix_socket_directories=", "-c", "fsync=off")
	p := start(t, h, as(postgres, program(t, "postgres", settings...)))
	// It takes connections a moment before it answers them.
	ready := "database system is ready to accept connections"
	eventually(t, ready, func() bool { return contains(&p.stderr, ready) })
}

// serveRedis runs Redis on a host.
func (h *host) serveRedis(t *testing.T) {
	t.Helper()
	p := start(t, h, program(t, "redis-server", "--bind", h.v4.String(), h.v6.String(), "--port", "6379",
		"--protected-mode", "no", "--save", "", "--dir", sharedDir(t)))
	h.awaitPort(t, p, 6379)
}

// awaitPort waits until a server takes connections.
func (h *host) awaitPort(t *testing.T, server *process, port int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s listens on port %d", server.Path, port), func() bool {
		if !server.running() {
			t.Fatalf("%s ended:\n%s%s", server.Path, tail(&server.stdout), tail(&server.stderr))
		}
		c, err := h.dial(fmt.Sprintf("%v:%d", h.v4, port))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// credential gives the ids of a user.
func credential(t testing.TB, name string) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
	if uidErr != nil || gidErr != nil {
		t.Fatalf("user %s has no numbers: %+v", name, u)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// as makes a command another user's. Its folder is one that everybody may be
// in.
func as(who *syscall.Credential, cmd *exec.Cmd) *exec.Cmd {
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	cmd.Dir = "/"
	return cmd
}
