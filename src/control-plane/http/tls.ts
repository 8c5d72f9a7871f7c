import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import type { FastifyBaseLogger } from "fastify";
import type { Clock } from "../../lib/clock.ts";
import type { TlsFiles } from "../control-plane.ts";

export interface Certificate {
  cert: Buffer;
  key: Buffer;
}

const lookIntervalMs = 5_000;

/** Throws an Error that names the files, where they cannot be read or do not belong together. */
export function readCertificate({ certFile, keyFile }: TlsFiles): Certificate {
  try {
    const certificate = { cert: readFileSync(certFile), key: readFileSync(keyFile) };
    createSecureContext(certificate);
    return certificate;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`cannot serve HTTPS with the certificate ${certFile} and the key ${keyFile}: ${why}`, { cause });
  }
}

export interface CertificateWatch {
  files: TlsFiles;
  clock: Clock;
  log: FastifyBaseLogger;
  use: (certificate: Certificate) => void;
}

/** Takes what is written into the files later. What cannot be used is told once, and the one before goes on. */
export class CertificateReloader {
  readonly #options: CertificateWatch;
  #known: Buffer;

  constructor(options: CertificateWatch, first: Certificate) {
    this.#options = options;
    this.#known = fingerprint(first);
  }

  /** Looks again and again, until the signal aborts. */
  async watch(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#options.clock.sleep(lookIntervalMs, signal);
      this.reload();
    }
  }

  reload(): void {
    const { files, log, use } = this.#options;
    try {
      const now = { cert: readFileSync(files.certFile), key: readFileSync(files.keyFile) };
      if (fingerprint(now).equals(this.#known)) return;
      this.#known = fingerprint(now);
      use(readCertificate(files));
      log.info(files, "the certificate has been read again");
    } catch (err) {
      log.error({ err, ...files }, "the certificate cannot be read again: the one before is served");
    }
  }
}

function fingerprint({ cert, key }: Certificate): Buffer {
  return Buffer.concat([cert, Buffer.of(0), key]);
}
