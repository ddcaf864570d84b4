// Connects to HOST PORT so many TIMES, and prints each time what it took, in ms,
// and whom it got.
const net = require("net");
const [host, port, times] = process.argv.slice(2);

function once() {
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const s = net.connect({ host, port: Number(port), autoSelectFamily: true });
    s.on("error", reject);
    s.on("connect", () => {
      console.log(performance.now() - began, s.remoteAddress);
      s.destroy();
      resolve();
    });
  });
}

async function main() {
  for (let i = 0; i < Number(times); i++) await once();
}
main();
