import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chown, copyFile, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Client } from "pg";
import { systemClock } from "../../../src/lib/clock.ts";
import { freePort } from "./free-port.ts";

const execute = promisify(execFile);
const packages = "/usr/lib/postgresql";

/** A PostgreSQL of Debian's package, on loopback, in a directory of its own, that a test may kill. */
export class PostgresServer implements AsyncDisposable {
  readonly port: number;
  readonly #directory: string;
  readonly #bin: string;
  readonly #owner: { uid?: number; gid?: number };
  #process: ReturnType<typeof spawn> | undefined;

  private constructor(port: number, directory: string, bin: string, owner: { uid?: number; gid?: number }) {
    this.port = port;
    this.#directory = directory;
    this.#bin = bin;
    this.#owner = owner;
  }

  /** `settings` are lines of postgresql.conf. */
  static async start(settings: readonly string[] = []): Promise<PostgresServer> {
    const bin = await findBin();
    const directory = await mkdtemp(join(tmpdir(), "cofferdam-postgres-"));
    const owner = await findOwner();
    if (owner.uid !== undefined) await chown(directory, owner.uid, owner.gid ?? owner.uid);
    const data = join(directory, "data");
    const initdb = ["-D", data, "--no-sync", "-U", "cofferdam", "--auth=scram-sha-256", "--locale=C.UTF-8"];
    const passwordFile = join(directory, "password");
    await writeFile(passwordFile, password);
    if (owner.uid !== undefined) await chown(passwordFile, owner.uid, owner.gid ?? owner.uid);
    await execute(join(bin, "initdb"), [...initdb, `--pwfile=${passwordFile}`], { ...owner, cwd: directory });
    const server = new PostgresServer(await freePort(), directory, bin, owner);
    await server.run(settings);
    return server;
  }

  get dataDirectory(): string {
    return join(this.#directory, "data");
  }

  url(database: string, user = `cofferdam:${password}`): string {
    return `postgres://${user}@127.0.0.1:${this.port}/${database}`;
  }

  /** Starts it, also again after `stop` or `kill`. */
  async run(settings: readonly string[] = []): Promise<void> {
    if (settings.length > 0) await writeFile(join(this.dataDirectory, "postgresql.auto.conf"), settings.join("\n"));
    const fixed = ["fsync=off", "max_connections=300", "listen_addresses=127.0.0.1", "unix_socket_directories="];
    const args = ["-D", this.dataDirectory, "-p", String(this.port), ...fixed.flatMap((setting) => ["-c", setting])];
    this.#process = spawn(join(this.#bin, "postgres"), args, { ...this.#owner, cwd: this.#directory, stdio: "ignore" });
    await this.#untilReady();
  }

  /** Ends it as an administrator does (`fast`), or as a power cut does (`kill`). */
  async stop(how: "fast" | "kill" = "fast"): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    if (!running || running.exitCode !== null) return;
    const exit = once(running, "exit");
    running.kill(how === "fast" ? "SIGINT" : "SIGQUIT");
    await exit;
  }

  /** Gives it a certificate of its own, from the next start on with the setting `ssl=on`. Answers the file to trust. */
  async makeCertificate(): Promise<string> {
    const [certificate, key] = ["server.crt", "server.key"].map((name) => join(this.dataDirectory, name));
    const subject = ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"];
    const files = ["-keyout", key ?? "", "-out", certificate ?? ""];
    await execute("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", ...subject, ...files]);
    const { uid, gid = uid } = this.#owner;
    if (uid !== undefined && gid !== undefined) await chown(key ?? "", uid, gid);
    const trusted = join(this.#directory, "trusted.pem");
    await copyFile(certificate ?? "", trusted);
    return trusted;
  }

  async createDatabase(name: string): Promise<string> {
    await this.query("postgres", `create database "${name}"`);
    return this.url(name);
  }

  async query(database: string, text: string): Promise<Record<string, unknown>[]> {
    const client = new Client({ connectionString: this.url(database) });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(text)).rows;
    } finally {
      await client.end();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #untilReady(): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        await this.query("postgres", "select 1");
        return;
      } catch (cause) {
        if (tries > 300 || this.#process?.exitCode !== null) throw new Error("PostgreSQL does not start", { cause });
        await systemClock.sleep(50);
      }
    }
  }
}

const password = "not-a-secret";

async function findBin(): Promise<string> {
  const versions = await readdir(packages).catch(() => []);
  const newest = versions.map(Number).toSorted((a, b) => b - a)[0];
  if (newest === undefined)
    throw new Error(`there is no PostgreSQL in ${packages}: run sh scripts/setup.sh --for test, which installs it`);
  return join(packages, String(newest), "bin");
}

/** It refuses to run as root. */
async function findOwner(): Promise<{ uid?: number; gid?: number }> {
  if (process.getuid?.() !== 0) return {};
  const id = async (flag: string) => Number((await execute("id", [flag, "postgres"])).stdout);
  return { uid: await id("-u"), gid: await id("-g") };
}
