import { NewTokenItem, operatorApi, Triggered } from "../../src/protocol/operator-api.ts";
import type { OperatedControlPlane } from "./operated-control-plane.ts";

/** One job for machines of the class a/b. */
export const oneJob =
  "version: 2.1\njobs: {build: {machine: true, resource_class: a/b, steps: [run: 'true']}}\nworkflows: {w: {jobs: [build]}}\n";

/** What the administrator's call was answered. */
export async function ask(
  plane: OperatedControlPlane,
  method: "GET" | "POST" | "PATCH" | "DELETE",
  path: string,
  json?: unknown,
) {
  const answer = await plane.http.call(method, path, { token: plane.token, ...(json === undefined ? {} : { json }) });
  return { status: answer.status, json: answer.json, bytes: answer.bytes };
}

/** Makes the class, and a token of it. */
export async function claimingToken(plane: OperatedControlPlane, resource_class = "a/b"): Promise<string> {
  await ask(plane, "POST", operatorApi.classes, { resource_class });
  const made = await ask(plane, "POST", operatorApi.tokens, { resource_class, nickname: "test" });
  return NewTokenItem.parse(made.json).token;
}

/** Makes a pipeline as the administrator. */
export async function trigger(
  plane: OperatedControlPlane,
  body: { config: string; repository: string; [key: string]: unknown },
): Promise<Triggered> {
  return Triggered.parse((await ask(plane, "POST", operatorApi.pipelines, body)).json);
}
