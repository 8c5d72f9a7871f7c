import { overlap, parseIpv4 } from "../../lib/ipv4.ts";
import type { Network } from "../../protocol/task.ts";
import { busybox } from "../plan/deadline.ts";
import { label, type Role } from "../plan/labels.ts";
import type { Problem } from "../plan/problem.ts";
import type { Ground } from "../task/ground.ts";
import { type HostNetwork, hostNetwork, lookAtHost } from "./host.ts";
import { Names } from "./names.ts";
import { type Rules, rulesOf } from "./rules.ts";
import { type HelperKit, runHelper, type SandboxKit } from "./sandbox.ts";
import { namesIn } from "./targets.ts";

const networkName = "cofferdam-sandboxes";

/**
 * Where the sandboxes' network may lie: blocks of 1,022 addresses in what RFC 2544 sets aside for measuring, as hardly anybody has
 * a way to there that a task could miss. A Linux bridge has 1,023 ports at most.
 */
const subnets = Array.from({ length: 64 }, (_, block) => `198.19.${block * 4}.0/22`);

/** What the rules are made of, as it is on this host: its addresses, the network, the names. */
export class RuleSource {
  /** Names of the helpers that run now. */
  readonly helpers = new Set<string>();
  readonly #ground: Ground;
  readonly #newId: () => string;
  readonly #names: Names;
  #host: { network: HostNetwork; readAtMs: number } | undefined;
  #subnets: string[] | undefined;
  #kit: Promise<SandboxKit> | undefined;

  constructor(ground: Ground, options: { newId: () => string; resolve: (name: string) => Promise<string[]> }) {
    this.#ground = ground;
    this.#newId = options.newId;
    this.#names = new Names({ resolve: options.resolve, clock: ground.clock });
  }

  /** The network there, and what sandboxes are made of. Rejects with EngineError; asked again after that. */
  async kit(): Promise<SandboxKit> {
    this.#kit ??= this.#prepare();
    this.#kit.catch(() => {
      this.#kit = undefined;
    });
    return await this.#kit;
  }

  /** Somebody has taken the network away. */
  forgetNetwork(): void {
    this.#kit = undefined;
  }

  /** Takes the network away, where nobody is on it. Never rejects. */
  async close(): Promise<void> {
    const kit = await this.#kit?.catch(() => undefined);
    this.#kit = undefined;
    const signal = AbortSignal.any([AbortSignal.timeout(10_000), this.#ground.hurry]);
    if (kit) await this.#ground.engine.removeNetwork(kit.network, signal).catch(() => false);
  }

  /** With what is known of host and names; waits where nothing is. */
  async rules(network: Network): Promise<Rules | Problem> {
    await this.kit();
    const addresses = await this.#names.addresses(namesIn(network));
    const host = this.#host?.network ?? (await this.#readHost());
    return rulesOf({ network, host, sandboxSubnets: this.#subnets ?? [], addresses });
  }

  /** Whether every name in these rules stands for something. */
  async knowsAll(network: Network): Promise<boolean> {
    const addresses = await this.#names.addresses(namesIn(network));
    return [...addresses.values()].every((found) => found.length > 0);
  }

  /** Looks again at what is older than this. Rejects with EngineError. */
  async refresh(networks: readonly Network[], olderThanMs: number): Promise<void> {
    await this.#names.refresh(networks.flatMap(namesIn));
    const readAtMs = this.#host?.readAtMs ?? Number.NEGATIVE_INFINITY;
    if (this.#ground.clock.monotonic() - readAtMs > olderThanMs) await this.#readHost();
  }

  async #prepare(): Promise<SandboxKit> {
    const { engine, taskAgent } = this.#ground;
    const signal = new AbortController().signal;
    const { image, nft } = await taskAgent.ready({ volume: false, signal });
    if (!nft) throw new Error(`the task-agent image has no label ${label.nft}: build or pull the one of this version`);
    const helping = { ground: this.#ground, image: image.id, newId: this.#newId, helpers: this.helpers };
    const host = this.#host?.network ?? (await this.#readHost(helping));
    const ways = host.routes.flatMap((route) => parseIpv4(route) ?? []);
    const isFree = (subnet: string) => {
      const range = parseIpv4(subnet);
      return range !== undefined && !ways.some((way) => overlap(way, range));
    };
    const labels = { [label.role]: "shared" satisfies Role };
    // One that is there already lies in the host's own routes.
    const state = await engine.ensureNetwork({ name: networkName, labels, subnets: subnets.filter(isFree) }, signal);
    this.#subnets = state.subnets;
    return { ...helping, nft, network: state.id };
  }

  async #readHost(kit?: HelperKit): Promise<HostNetwork> {
    const plan = { command: lookAtHost(busybox), network: { mode: "host" } } as const;
    const { code, stdout, stderr } = await runHelper(kit ?? (await this.kit()), plan);
    const network = code === 0 ? hostNetwork(stdout) : undefined;
    if (!network)
      throw new Error(`the addresses of the host could not be read: ${stderr.trim().slice(0, 300) || code}`);
    this.#host = { network, readAtMs: this.#ground.clock.monotonic() };
    return network;
  }
}
