// Connects to each address of the command line, and prints what became of it:
// WAY ADDRESS/PORT RESULT MS ms.
const net = require("net");

function attempt(target, timeout) {
  const [host, port] = target.split("/");
  const began = Date.now();
  return new Promise((resolve) => {
    const s = net.connect({ host, port: Number(port) });
    let connected = false;
    const end = (text) => {
      s.destroy();
      resolve(`${text} ${Date.now() - began} ms`);
    };
    const timer = timeout && setTimeout(() => end("connect timeout"), timeout);
    s.on("connect", () => {
      connected = true;
      clearTimeout(timer);
    });
    s.on("data", (data) => end("read " + data));
    s.on("end", () => end("read end"));
    s.on("error", (e) => {
      clearTimeout(timer);
      end((connected ? "read " : "connect ") + e.code);
    });
  });
}

async function main() {
  const told = [];
  for (const target of process.argv.slice(2)) {
    const silent = target.startsWith("203.0.113.") || target.includes("2001:db8:3:") || target.includes("::ffff:203.0.113.");
    told.push(attempt(target, 5000).then((r) => `timeout ${target} ${r}`));
    if (!silent) told.push(attempt(target, 0).then((r) => `plain ${target} ${r}`));
  }
  for (const line of await Promise.all(told)) console.log(line);
}
main();
