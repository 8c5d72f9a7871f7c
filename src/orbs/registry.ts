import { z } from "zod";
import type { OrbAnswer, OrbSource, RegistryOrbReference } from "../config/index.ts";
import { type AskHttp, askHttp, failureOf, type HttpAnswer } from "./http.ts";
import { isFixed } from "./versions.ts";

export interface RegistryOptions {
  /** Origin of the registry, such as `https://registry.example`. */
  url: string;
  /** A personal API token, for private orbs. */
  token?: string | undefined;
  ask?: AskHttp;
}

/** A registry that speaks CircleCI's GraphQL, as their command line does. It resolves versions itself. */
export function orbRegistry({ url, token, ask = askHttp }: RegistryOptions): OrbSource {
  const endpoint = new URL("/graphql-unstable", url).href;
  let failure: string | undefined;
  return {
    async find(reference, signal) {
      if (reference.kind === "url") return { found: false, reason: "no-such-orb", detail: `${url} has no URL orbs` };
      // A registry that could not be reached once is not waited for again by the same run.
      if (failure !== undefined) return unavailable(url, failure);
      try {
        const headers = token === undefined ? {} : { authorization: token };
        const answer = await ask({ url: endpoint, json: questionFor(reference), headers, signal });
        return understand(url, reference, answer);
      } catch (error) {
        failure = failureOf(error);
        return unavailable(url, failure);
      }
    },
  };
}

const query = `query ($ref: String!, $name: String!) {
  orbVersion(orbVersionRef: $ref) { version source }
  orb(name: $name) { versions(count: 200) { version } }
}`;

const Answer = z.object({
  data: z
    .object({
      orbVersion: z.object({ version: z.string(), source: z.string() }).nullish(),
      orb: z.object({ versions: z.array(z.object({ version: z.string() })) }).nullish(),
    })
    .nullish(),
  errors: z.array(z.object({ message: z.string() })).optional(),
});

function questionFor({ namespace, name, version }: RegistryOrbReference): object {
  const orb = `${namespace}/${name}`;
  return { query, variables: { ref: `${orb}@${version}`, name: orb } };
}

function understand(url: string, reference: RegistryOrbReference, { status, text }: HttpAnswer): OrbAnswer {
  if (status === 401 || status === 403)
    return { found: false, reason: "forbidden", detail: `${url} answered ${status}` };
  if (status !== 200) return unavailable(url, `it answered ${status}`);
  const answer = Answer.safeParse(parseJson(text));
  if (!answer.success) return unavailable(url, "its answer is not what an orb registry answers");
  const { data, errors = [] } = answer.data;
  const found = data?.orbVersion;
  const orb = `${reference.namespace}/${reference.name}`;
  if (found) return { found: true, resolved: `${orb}@${found.version}`, text: found.source };
  const known = data?.orb?.versions.map((one) => one.version).filter(isFixed);
  if (known) return { found: false, reason: "no-such-version", detail: `${url} has ${orb} in other versions`, known };
  if (errors.length > 0) return unavailable(url, errors.map((one) => one.message).join("; "));
  return { found: false, reason: "no-such-orb", detail: `${url} has no orb ${orb}` };
}

function unavailable(url: string, why: string): OrbAnswer {
  return { found: false, reason: "unavailable", detail: `${url} could not be asked: ${why}` };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
