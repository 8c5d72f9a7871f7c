import { setTimeout as sleep } from "node:timers/promises";
import { overlap, parseIpv4 } from "../../lib/ipv4.ts";
import { EngineError, isEngineError, type NetworkState, type SharedNetwork } from "../engine.ts";
import { CreatedAnswer, checked, NetworkListAnswer } from "./answers.ts";
import type { Client } from "./client.ts";
import { createPodmanNetwork, listPodmanNetworks } from "./podman-network.ts";
import { checkedName } from "./reference.ts";

type Network = NetworkListAnswer[number];

const icc = "com.docker.network.bridge.enable_icc";
const mtu = "com.docker.network.driver.mtu";
/** Others may take the same subnet at the same moment. */
const tries = 8;
const pauseMs = 200;

/**
 * The engine's own pools have room for some thirty networks and are every user's, so the subnet is chosen here.
 */
export async function ensureNetwork(
  client: Client,
  network: SharedNetwork,
  signal: AbortSignal,
): Promise<NetworkState> {
  checkedName(network.name);
  let refused = new Set<string>();
  for (let left = tries; ; left--) {
    const networks = await listNetworks(client, signal);
    const found = oldestOf(networks, network.name);
    if (found) return stateOf(found, network);
    if (left > 0 && network.subnets.every((subnet) => refused.has(subnet))) {
      // Those that make it right now may have each of them, and are not listed yet.
      await sleep(pauseMs, undefined, { signal });
      refused = new Set();
      continue;
    }
    const subnet = freeSubnet(network, networks, refused);
    try {
      return await onlyOne(client, await createNetwork(client, { network, subnet, networks, signal }), network, signal);
    } catch (error) {
      const isTaken = isEngineError(error, "forbidden") || isEngineError(error, "conflict");
      if (left === 0 || !(isTaken || isEngineError(error, "failed"))) throw error;
      // Where it is there now, somebody else was faster. Else something has it that the engine did not list.
      refused = new Set([...refused, subnet]);
    }
  }
}

export async function removeNetwork(client: Client, id: string, signal: AbortSignal): Promise<boolean> {
  const name = await removableName(client, id, signal);
  if (name === undefined) return true;
  const path = `/networks/${checkedName(name)}`;
  const what = `remove network ${id}`;
  // 403: in use. Podman says 409, or 500.
  const answer = await client.call({ method: "DELETE", path, what, signal }, [403, 404, 409, 500]);
  return answer.status < 400 || answer.status === 404;
}

/** Podman looks for containers on a network by the word in the call, and takes one that is named by its id from under them. */
async function removableName(client: Client, id: string, signal: AbortSignal): Promise<string | undefined> {
  const { dialect } = await client.session(signal);
  if (dialect.kind === "docker") return id;
  return (await listPodmanNetworks(client, signal)).find(({ Id }) => Id === id)?.Name;
}

/**
 * Two made at the same moment may both be there, in spite of their name: the engine looks for others before it begins. Then one gives
 * way, on which nothing can be yet.
 */
async function onlyOne(
  client: Client,
  own: string,
  network: SharedNetwork,
  signal: AbortSignal,
): Promise<NetworkState> {
  const kept = oldestOf(await listNetworks(client, signal), network.name);
  if (!kept) throw new EngineError("failed", `network ${network.name} was made, and is not there`);
  if (kept.Id !== own) await removeNetwork(client, own, signal);
  return stateOf(kept, network);
}

function oldestOf(networks: NetworkListAnswer, name: string): Network | undefined {
  const age = ({ Created, Id }: Network) => `${Created} ${Id}`;
  return networks.filter(({ Name }) => Name === name).toSorted((a, b) => (age(a) < age(b) ? -1 : 1))[0];
}

async function listNetworks(client: Client, signal: AbortSignal): Promise<NetworkListAnswer> {
  const { dialect } = await client.session(signal);
  if (dialect.kind === "podman") return await listPodmanNetworks(client, signal);
  const what = "list networks";
  return checked(NetworkListAnswer, await client.json({ method: "GET", path: "/networks", what, signal }), what);
}

/** What somebody else made under this name lets through we know not what. */
function stateOf(own: Network, network: SharedNetwork): NetworkState {
  const isOurs = Object.entries(network.labels).every(([name, value]) => own.Labels[name] === value);
  const isClosed = own.Driver === "bridge" && !own.EnableIPv6 && (own.Options[icc] ?? "false") === "false";
  if (isOurs && isClosed)
    return { id: own.Id, subnets: own.IPAM.Config.flatMap(({ Subnet }) => (Subnet === undefined ? [] : [Subnet])) };
  const message = `network ${network.name} was made by somebody else, or otherwise than we make it. Remove it: docker network rm ${network.name}`;
  throw new EngineError("failed", message);
}

function freeSubnet(network: SharedNetwork, networks: NetworkListAnswer, refused: ReadonlySet<string>): string {
  const taken = networks.flatMap(({ IPAM }) => IPAM.Config).flatMap(({ Subnet }) => parseIpv4(Subnet ?? "") ?? []);
  const free = network.subnets.find((subnet) => {
    const range = parseIpv4(subnet);
    return range && !refused.has(subnet) && !taken.some((other) => overlap(range, other));
  });
  if (free !== undefined) return free;
  const message =
    `no subnet is left for network ${network.name}: other networks of the engine overlap all of ` +
    `${network.subnets.at(0)} to ${network.subnets.at(-1)}. Remove networks that nobody uses: docker network prune`;
  throw new EngineError("failed", message);
}

interface Creation {
  network: SharedNetwork;
  subnet: string;
  networks: NetworkListAnswer;
  signal: AbortSignal;
}

async function createNetwork(client: Client, { network, subnet, networks, signal }: Creation): Promise<string> {
  const { dialect } = await client.session(signal);
  const what = `make network ${network.name} with subnet ${subnet}`;
  if (dialect.kind === "podman") return await createPodmanNetwork(client, { network, subnet, what, signal });
  // As wide as the engine's own bridge: clouds and VPNs have it narrower than 1500.
  const width = networks.find(({ Name }) => Name === "bridge")?.Options[mtu];
  const body = {
    Name: network.name,
    CheckDuplicate: true,
    Driver: "bridge",
    EnableIPv6: false,
    IPAM: { Config: [{ Subnet: subnet }] },
    Labels: { ...network.labels },
    Options: { [icc]: "false", ...(width === undefined ? {} : { [mtu]: width }) },
  };
  const request = { method: "POST", path: "/networks/create", body, what, signal } as const;
  return checked(CreatedAnswer, await client.json({ ...request, timeoutMs: client.longCallTimeoutMs }), what).Id;
}
