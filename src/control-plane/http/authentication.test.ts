import { expect, test } from "vitest";
import { temporaryControlPlane } from "../../../test/fakes/temporary-control-plane.ts";
import { agentApi } from "../../protocol/agent-api.ts";

test.each(["/graphql-unstable", agentApi.continue])("%s reads no body of a caller without a token", async (path) => {
  await using plane = await temporaryControlPlane();

  const answer = await plane.agent.call("POST", path, { body: "no JSON", type: "application/json" });

  expect(answer).toMatchObject({ status: 401, json: { code: "unauthorized" } });
});
