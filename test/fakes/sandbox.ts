import type { DummyProcess } from "../../src/engine/dummy/index.ts";
import type { HelperPlan, HelperResult } from "../../src/engine/engine.ts";

/** Labels of a task-agent image that sandboxes can be made of. */
export const sandboxImageLabels = { "dev.cofferdam.argv": '["/opt/cofferdam/node"]', "dev.cofferdam.nft": '["nft"]' };

const hostSays = `local 192.0.2.10 dev eth0 scope host  src 192.0.2.10
local 127.0.0.1 dev lo scope host  src 127.0.0.1
default via 192.0.2.1 dev eth0
192.0.2.0/24 dev eth0 scope link  src 192.0.2.10
nameserver 192.0.2.53
`;

/** Plays the engine's host and nft to helpers: keeps the last script, and lists as many rules as that has. */
export class FakeHost {
  /** What the next helpers do instead of succeeding. */
  broken: "no" | "fails" | "loses-rules" = "no";
  /** Id of the container whose next helper does not end. */
  stuck: string | undefined;
  says = hostSays;
  /** Every script that was set, joined by newlines. */
  readonly scripts: string[] = [];

  readonly helper = ({ command, network }: HelperPlan): HelperResult | Promise<HelperResult> => {
    if (network.mode === "host") return { code: 0, stdout: this.says, stderr: "" };
    if (network.container === this.stuck) {
      this.stuck = undefined;
      return new Promise(() => {});
    }
    if (this.broken === "fails") return { code: 1, stdout: "", stderr: "Operation not permitted\n" };
    const script = command.slice(command.indexOf("nft") + 1).join("\n");
    this.scripts.push(script);
    const rules = [...script.matchAll(/comment "(\d+)"$/gm)].map(([, comment]) => ({ rule: { comment } }));
    const chains = ["output", "input"].map((hook) => ({ chain: { name: hook, hook, policy: "drop" } }));
    const listed = this.broken === "loses-rules" ? rules.slice(1) : rules;
    return { code: 0, stdout: JSON.stringify({ nftables: [{ metainfo: {} }, ...chains, ...listed] }), stderr: "" };
  };
}

/** Plays an idle sandbox: says how it looks for each word. `hosts` is what a task may have changed. */
export async function playSandbox(process: DummyProcess, hosts: () => string): Promise<number> {
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    for (const word of chunk.toString().split("\n").filter(Boolean))
      process.stdout.write(`\n=== ${word} /etc/hosts\n${hosts()}\n=== ${word} end\n`);
  }
  return 0;
}

export function isSandbox(process: DummyProcess): boolean {
  return process.plan.labels["dev.cofferdam.role"] === "sandbox";
}
