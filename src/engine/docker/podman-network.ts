import { z } from "zod";
import type { SharedNetwork } from "../engine.ts";
import { checked, type NetworkListAnswer } from "./answers.ts";
import type { Client } from "./client.ts";

/**
 * By Podman's own calls: its compatible ones give every network a name server at the gateway's address, which is closed to tasks, and their
 * list fails when any container of the engine goes while it is made.
 */
const version = "v4.0.0";

const PodmanNetwork = z.object({
  id: z.string(),
  name: z.string(),
  driver: z.string(),
  created: z.string().default(""),
  subnets: z
    .array(z.object({ subnet: z.string() }))
    .nullish()
    .transform((list) => list ?? []),
  ipv6_enabled: z.boolean().default(false),
  internal: z.boolean().default(false),
  labels: z
    .record(z.string(), z.string())
    .nullish()
    .transform((map) => map ?? {}),
});

export async function listPodmanNetworks(client: Client, signal: AbortSignal): Promise<NetworkListAnswer> {
  const what = "list networks";
  const answer = await client.json({ method: "GET", path: "/libpod/networks/json", version, what, signal });
  return checked(z.array(PodmanNetwork), answer, what).map((network) => ({
    Id: network.id,
    Name: network.name,
    Created: network.created,
    Driver: network.driver,
    EnableIPv6: network.ipv6_enabled,
    Internal: network.internal,
    Labels: network.labels,
    Options: {},
    IPAM: { Config: network.subnets.map(({ subnet }) => ({ Subnet: subnet })) },
  }));
}

/** Its containers ask the host's name servers. They reach each other but for the rules in their own namespaces: Podman has no `icc`. */
export async function createPodmanNetwork(
  client: Client,
  options: { network: SharedNetwork; subnet: string; what: string; signal: AbortSignal },
): Promise<string> {
  const { network, subnet, what, signal } = options;
  const body = {
    name: network.name,
    driver: "bridge",
    subnets: [{ subnet }],
    ipv6_enabled: false,
    dns_enabled: false,
    labels: { ...network.labels },
    options: { isolate: "true" },
  };
  const timeoutMs = client.longCallTimeoutMs;
  const request = { method: "POST", path: "/libpod/networks/create", version, body, what, signal, timeoutMs } as const;
  return checked(PodmanNetwork, await client.json(request), what).id;
}
