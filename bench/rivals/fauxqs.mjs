// node fauxqs.mjs PACKAGE PORT [FOLDER]: fauxqs as a server that logs nothing; with FOLDER, what it holds is
// in SQLite there. Its own command line always logs every request.
import path from 'node:path';

const [folder, port, dataDir] = process.argv.slice(2);
const { startFauxqs } = await import(path.join(folder, 'dist', 'app.js'));
await startFauxqs({ port: Number(port), host: '127.0.0.1', logger: false, ...(dataDir ? { dataDir } : {}) });
