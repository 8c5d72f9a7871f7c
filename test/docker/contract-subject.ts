import type { ContractSubject } from "../engine/contract.ts";
import { dockerodeUnderTest, engineUnderTest } from "./engine-under-test.ts";

/** A real engine, with a shell's words for what the contract wants said. */
export async function realEngine(): Promise<ContractSubject> {
  return {
    engine: await engineUnderTest(),
    setPaused: async (name, isPaused) => {
      const container = (await dockerodeUnderTest()).getContainer(name);
      await (isPaused ? container.pause() : container.unpause());
    },
    image: "debian:bookworm-slim",
    user: { name: "www-data", uid: 33, gid: 33, home: "/var/www" },
    scripts: {
      say: ({ stdout, stderr, exit }) =>
        sh(`printf %s '${stdout ?? ""}'; printf %s '${stderr ?? ""}' >&2; exit ${exit ?? 0}`),
      echo: (bytes) => sh(`head -c ${bytes}`),
      sleep: () => sh("exec sleep 1000"),
      eat: () => sh("exec tail /dev/zero"),
      help: ({ stdout, exit }) => ["/bin/sh", "-c", `printf %s '${stdout}'; exit ${exit}`],
      helpForever: () => ["/bin/sh", "-c", "exec sleep 1000"],
    },
  };
}

function sh(script: string): { entrypoint: string[]; command: string[] } {
  return { entrypoint: ["/bin/sh", "-c"], command: [script] };
}
