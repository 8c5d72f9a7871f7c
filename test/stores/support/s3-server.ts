import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import type { BucketSettings } from "../../../src/control-plane/blobs/bucket-settings.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import { Secret } from "../../../src/lib/secret.ts";
import { freePort } from "./free-port.ts";

const accessKeyId = "tester";
const secretAccessKey = "not-a-secret";

/** versitygw over a directory of its own, on loopback, that a test may kill. */
export class S3Server implements AsyncDisposable {
  readonly endpoint: string;
  readonly client: S3Client;
  readonly #directory: string;
  #process: ChildProcess | undefined;

  private constructor(directory: string, port: number) {
    this.#directory = directory;
    this.endpoint = `http://127.0.0.1:${port}`;
    this.client = new S3Client({
      endpoint: this.endpoint,
      region: "us-east-1",
      forcePathStyle: true,
      credentials: { accessKeyId, secretAccessKey },
    });
  }

  static async start(): Promise<S3Server> {
    const directory = await mkdtemp(join(tmpdir(), "cofferdam-s3-"));
    for (const name of ["data", "attributes"]) await mkdir(join(directory, name));
    const server = new S3Server(directory, await freePort());
    await server.run();
    return server;
  }

  /** Starts it, also again after `stop`. */
  async run(): Promise<void> {
    const listen = ["--port", this.endpoint.slice("http://".length), "--quiet"];
    const backend = ["posix", "--sidecar", join(this.#directory, "attributes"), join(this.#directory, "data")];
    const env = { ROOT_ACCESS_KEY_ID: accessKeyId, ROOT_SECRET_ACCESS_KEY: secretAccessKey };
    this.#process = spawn(s3ServerBinary(), [...listen, ...backend], { env, stdio: "ignore" });
    await this.#untilReady();
  }

  async stop(): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    if (!running || running.exitCode !== null) return;
    const exit = once(running, "exit");
    running.kill("SIGKILL");
    await exit;
  }

  /** A new bucket, and how to reach it. */
  async bucket(name: string, prefix = ""): Promise<Required<BucketSettings>> {
    await this.client.send(new CreateBucketCommand({ Bucket: name }));
    const credentials = { accessKeyId, secretAccessKey: new Secret(secretAccessKey) };
    return { name, prefix, endpoint: this.endpoint, region: "us-east-1", forcePathStyle: true, credentials };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    this.client.destroy();
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #untilReady(): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        await fetch(this.endpoint);
        return;
      } catch (cause) {
        if (tries > 200 || this.#process?.exitCode !== null) throw new Error("versitygw does not start", { cause });
        await systemClock.sleep(50);
      }
    }
  }
}

/** Where scripts/lib-stores.sh puts it. */
export function s3ServerBinary(): string {
  const script = readFileSync(new URL("../../../scripts/lib-stores.sh", import.meta.url), "utf8");
  const version = /^s3_server_version=(\S+)$/m.exec(script)?.[1];
  const caches = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const file = join(caches, "cofferdam", `versitygw-${version}`);
  if (existsSync(file)) return file;
  throw new Error(`there is no ${file}: run sh scripts/setup.sh --for test, which builds it`);
}
