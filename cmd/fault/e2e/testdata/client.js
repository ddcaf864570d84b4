// Gets the page of each URL that it is given, on a connection of its own.
const fs = require('fs');
const get = { 'http:': require('http').get, 'https:': require('https').get };
const ca = fs.readFileSync(process.argv[2]);

require('readline').createInterface({ input: process.stdin }).on('line', (url) => {
  const began = performance.now();
  get[new URL(url).protocol](url, { ca, agent: false }, (answer) => {
    const peer = answer.socket.remoteAddress;
    let body = '';
    answer.on('data', (part) => { body += part; });
    answer.on('end', () => console.log(performance.now() - began, peer, body));
  });
});
