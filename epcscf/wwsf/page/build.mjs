// Bundles the page: node build.mjs [--out FOLDER]. What comes out is all that the WWSF serves.
import {build} from 'esbuild';
import fs from 'node:fs';
import path from 'node:path';
import {fileURLToPath} from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const at = process.argv.indexOf('--out');
const out = path.resolve(at > 0 ? process.argv[at + 1] : path.join(here, 'dist'));

/** The licences of the packages whose code is in the bundle. */
function licences(metafile) {
  const names = new Set();
  for (const input of Object.keys(metafile.inputs)) {
    const match = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input);
    if (match) names.add(match[1]);
  }
  return [...names].sort().map((name) => {
    const folder = path.join(here, 'node_modules', name);
    const about = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'));
    const file = fs.readdirSync(folder).find((f) => /^licen[cs]e/i.test(f));
    const text = file ? fs.readFileSync(path.join(folder, file), 'utf8').trim() : '';
    return `${name} ${about.version} (${about.license})\n\n${text}\n`;
  }).join(`\n${'-'.repeat(72)}\n\n`);
}

fs.mkdirSync(out, {recursive: true});
const result = await build({
  entryPoints: {app: path.join(here, 'src/main.js'), style: path.join(here, 'src/style.css')},
  outdir: out,
  bundle: true,
  minify: true,
  metafile: true,
  format: 'esm',
  platform: 'browser',
  target: ['chrome90', 'firefox90', 'safari15'],
  logLevel: 'info',
});
for (const name of ['index.html', 'icon.svg'])
  fs.copyFileSync(path.join(here, 'src', name), path.join(out, name));
fs.writeFileSync(path.join(out, 'licences.txt'), licences(result.metafile));
