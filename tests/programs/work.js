// Files, a server and its client, a child, another thread, timers, randomness.
const { Worker, isMainThread, parentPort } = require('worker_threads');
if (!isMainThread) {
  let sum = 0;
  for (let i = 0; i < 1e6; i++) sum += i;
  parentPort.postMessage(sum);
} else {
  const fs = require('fs'), http = require('http'), path = require('path');
  const dir = process.argv[2], socketPath = path.join(dir, 'socket');
  fs.writeFileSync(path.join(dir, 'file'), require('crypto').randomBytes(1000));
  const server = http.createServer((_, answer) => answer.end('hello')).listen(socketPath, () => {
    http.get({ socketPath, path: '/' }, (answer) => {
      answer.resume();
      answer.on('end', () => {
        server.close();
        console.log(require('child_process').execFileSync('/bin/echo', ['child']).toString().trim());
        new Worker(__filename).on('message', (sum) => setTimeout(() => console.log(sum), 10));
      });
    });
  });
}
