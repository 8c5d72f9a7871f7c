import { z } from "zod";
import type { OrbAnswer, OrbSource, RegistryOrbReference } from "../config/index.ts";
import {
  askRegistry,
  type RegistryAnswer,
  type RegistryOptions,
  type RegistryRefusal,
  unavailable,
} from "./graphql.ts";
import { isFixed } from "./versions.ts";

/** A registry that speaks CircleCI's GraphQL, as their command line does. It resolves versions itself. */
export function orbRegistry(options: RegistryOptions): OrbSource {
  const { url } = options;
  let failure: RegistryRefusal | undefined;
  return {
    async find(reference, signal) {
      if (reference.kind === "url") return { found: false, reason: "no-such-orb", detail: `${url} has no URL orbs` };
      // A registry that could not be reached once is not waited for again by the same run.
      if (failure) return refusal(failure);
      const answer = await askRegistry(options, { query, variables: variablesFor(reference), schema: Data, signal });
      if (!answer.ok && answer.unreachable && signal?.aborted !== true) failure = answer;
      return understand(url, reference, answer);
    },
  };
}

const query = `query ($ref: String!, $name: String!) {
  orbVersion(orbVersionRef: $ref) { version source }
  orb(name: $name) { versions(count: 200) { version } }
}`;

const Data = z.object({
  orbVersion: z.object({ version: z.string(), source: z.string() }).nullish(),
  orb: z.object({ versions: z.array(z.object({ version: z.string() })) }).nullish(),
});

function variablesFor({ namespace, name, version }: RegistryOrbReference): { ref: string; name: string } {
  const orb = `${namespace}/${name}`;
  return { ref: `${orb}@${version}`, name: orb };
}

function understand(
  url: string,
  reference: RegistryOrbReference,
  answer: RegistryAnswer<z.output<typeof Data>>,
): OrbAnswer {
  if (!answer.ok) return refusal(answer);
  const { data, errors } = answer;
  const found = data?.orbVersion;
  const orb = `${reference.namespace}/${reference.name}`;
  if (found) return { found: true, resolved: `${orb}@${found.version}`, text: found.source };
  const known = data?.orb?.versions.map((one) => one.version).filter(isFixed);
  if (known) return { found: false, reason: "no-such-version", detail: `${url} has ${orb} in other versions`, known };
  if (errors.length > 0) return refusal(unavailable(url, errors.join("; ")));
  return { found: false, reason: "no-such-orb", detail: `${url} has no orb ${orb}` };
}

function refusal({ reason, detail }: RegistryRefusal): OrbAnswer {
  return { found: false, reason, detail };
}
