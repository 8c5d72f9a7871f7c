import { z } from "zod";
import { type AskHttp, askHttp, failureOf } from "./http.ts";

export interface RegistryOptions {
  /** Origin of the registry, such as `https://registry.example`. */
  url: string;
  /** A personal API token, for private orbs and for publishing. */
  token?: string | undefined;
  ask?: AskHttp;
}

/** Refused or not reached; `detail` is for people. `unreachable`: nothing answered at all. */
export interface RegistryRefusal {
  ok: false;
  reason: "forbidden" | "unavailable";
  detail: string;
  unreachable: boolean;
}

export type RegistryAnswer<T> = { ok: true; data: T | undefined; errors: string[] } | RegistryRefusal;

export interface RegistryQuestion<S extends z.ZodType> {
  query: string;
  variables: Record<string, unknown>;
  /** The shape of `data`. */
  schema: S;
  signal?: AbortSignal | undefined;
}

/** Asks a registry in the GraphQL of CircleCI's. Never rejects. */
export async function askRegistry<S extends z.ZodType>(
  { url, token, ask = askHttp }: RegistryOptions,
  { query, variables, schema, signal }: RegistryQuestion<S>,
): Promise<RegistryAnswer<z.output<S>>> {
  const endpoint = new URL("/graphql-unstable", url).href;
  const headers = token === undefined ? {} : { authorization: token };
  try {
    const { status, text } = await ask({ url: endpoint, json: { query, variables }, headers, signal });
    if (status === 401 || status === 403) return forbidden(url, status, token);
    if (status !== 200) return unavailable(url, `it answered ${status}${wordsOf(text)}`);
    const answer = z.object({ data: schema.nullish(), errors: Errors }).safeParse(parseJson(text));
    if (!answer.success) return unavailable(url, "its answer is not what an orb registry answers");
    const { data, errors } = answer.data;
    return { ok: true, data: data ?? undefined, errors: errors?.map(({ message }) => message) ?? [] };
  } catch (error) {
    return { ...unavailable(url, failureOf(error)), unreachable: true };
  }
}

const Errors = z.array(z.object({ message: z.string() })).nullish();

export function unavailable(url: string, why: string): RegistryRefusal {
  return { ok: false, reason: "unavailable", detail: `${url} could not be asked: ${why}`, unreachable: false };
}

function forbidden(url: string, status: number, token: string | undefined): RegistryRefusal {
  const why = token === undefined ? "it wants a token, and none was given" : "it does not take this token";
  return { ok: false, reason: "forbidden", detail: `${url} answered ${status}: ${why}`, unreachable: false };
}

/** What an error's body says, where it is one of those that name a message. */
function wordsOf(text: string): string {
  const body = z.object({ message: z.string().max(500) }).safeParse(parseJson(text));
  return body.success ? `, ${body.data.message}` : "";
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
