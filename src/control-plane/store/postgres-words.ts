import { ControlPlaneError } from "../errors.ts";

/** SQLSTATE, or the system's code of a connection that failed; empty: neither. */
export function codeOf(error: unknown): string {
  if (error instanceof AggregateError) return codeOf(error.errors[0]);
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

const words: Readonly<Record<string, string>> = {
  "28P01": "PostgreSQL refuses the password; look at COFFERDAM_DATABASE_URL",
  "28000": "PostgreSQL refuses this user from here; look at COFFERDAM_DATABASE_URL and pg_hba.conf",
  "3D000": "PostgreSQL has no such database; create it, or look at COFFERDAM_DATABASE_URL",
  "42501": "PostgreSQL does not permit this; the user has to own the database's schema",
  "25006": "PostgreSQL is read-only: it is a standby, or was told so; look at COFFERDAM_DATABASE_URL",
  "53100": "the disk of PostgreSQL is full; make room on it",
  "53300": "PostgreSQL has no connection left; raise its max_connections",
  "57P03": "PostgreSQL does not take connections yet",
  ENOTFOUND: "PostgreSQL's host name is not known here; look at COFFERDAM_DATABASE_URL",
};

/** Classes of SQLSTATE, and codes, of a connection or a server that is gone for now. */
const gone = /^(08|53|57P|58)|^(57014|25P03)$|^E(CONNREFUSED|CONNRESET|PIPE|TIMEDOUT|HOSTUNREACH|NETUNREACH|AI_AGAIN)$/;
/** pg's own errors have no code. */
const goneWords =
  /^(Connection terminated|timeout exceeded|timeout expired|Query read timeout|Client has encountered|Client was closed)/;
/** Bytes that no text may have (NUL), numbers beyond their column. */
const refused = new Set(["22021", "22P05", "22003"]);

/** What a failure of the database means to whoever asked; itself, where it is our fault. */
export function inWords(error: unknown): unknown {
  const code = codeOf(error);
  const known = words[code];
  if (known !== undefined) return unavailable(known, error);
  if (refused.has(code))
    return new ControlPlaneError("bad-request", "a text holds a NUL character, or a number is too big", {
      cause: error,
    });
  const message = error instanceof Error ? error.message : "";
  if (/certificate|SSL|TLS/i.test(`${code} ${message}`))
    return unavailable(
      `no TLS with PostgreSQL: ${message}; look at sslmode and sslrootcert in COFFERDAM_DATABASE_URL`,
      error,
    );
  if (!gone.test(code) && !goneWords.test(message)) return error;
  return unavailable(`PostgreSQL cannot be reached (${code || message}); try again`, error);
}

function unavailable(message: string, cause: unknown): ControlPlaneError {
  return new ControlPlaneError("unavailable", message, { cause });
}
