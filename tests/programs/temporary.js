// What Node programs leave in temporary places: directories of mkdtemp, atomic writes as npm does them, a child.
const crypto = require('crypto'), fs = require('fs'), os = require('os'), path = require('path');
const { execFileSync } = require('child_process');
const base = process.argv[2];
for (const place of [os.tmpdir(), base]) {
  const dir = fs.mkdtempSync(path.join(place, 'app-'));
  const cache = path.join(dir, '_cacache', 'tmp', crypto.randomBytes(4).toString('hex'));
  fs.mkdirSync(cache, { recursive: true });
  const digest = crypto.randomBytes(32).toString('hex');
  const content = path.join(dir, '_cacache', 'content', digest.slice(0, 2), digest.slice(2, 4));
  fs.mkdirSync(content, { recursive: true });
  fs.writeFileSync(path.join(cache, digest), 'x');
  fs.renameSync(path.join(cache, digest), path.join(content, digest.slice(4)));
  fs.rmSync(dir, { recursive: true });
}
// write-file-atomic: the name, a hash of who writes.
const target = path.join(base, 'package.json');
const next = `${target}.${crypto.randomBytes(4).readUInt32LE()}`;
fs.writeFileSync(next, '{}');
fs.renameSync(next, target);
fs.writeFileSync(path.join(base, `report.${process.pid}.${Date.now()}.json`), '{}');
console.log(execFileSync('/bin/cat', [target]).toString());
