// better-auth with its organization plugin on PostgreSQL: `node server.mjs`, and `node server.mjs migrate` before it.
// Takes PORT, DATABASE_URL and BETTER_AUTH_SECRET from the environment.
import http from 'node:http';
import { betterAuth } from 'better-auth';
import { getMigrations } from 'better-auth/db/migration';
import { toNodeHandler } from 'better-auth/node';
import { organization } from 'better-auth/plugins';
import pg from 'pg';

const port = Number(process.env.PORT);
const options = {
  baseURL: `http://127.0.0.1:${port}`,
  secret: process.env.BETTER_AUTH_SECRET,
  database: new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 32 }),
  emailAndPassword: { enabled: true },
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  logger: { level: 'error' },
  plugins: [
    organization({
      membershipLimit: 1_000_000_000,
      requireEmailVerificationOnInvitation: false,
      sendInvitationEmail: async () => {},
    }),
  ],
};

if (process.argv[2] === 'migrate') {
  const { runMigrations } = await getMigrations(options);
  await runMigrations();
  await options.database.end();
} else {
  http.createServer(toNodeHandler(betterAuth(options))).listen(port, '127.0.0.1');
}
