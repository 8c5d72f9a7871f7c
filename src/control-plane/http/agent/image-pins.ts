import type { FastifyInstance } from "fastify";
import { agentApi, ImagePin, ImagePinResponse } from "../../../protocol/agent-api.ts";
import { authenticateTask } from "../../auth/tokens.ts";
import type { Context } from "../../context.ts";
import { ControlPlaneError } from "../../errors.ts";
import { imagePins, putImagePin } from "../../store/image-pins.ts";
import { parseRequest } from "../request.ts";

/** Far more than the images of one pipeline. */
const mostPins = 2_000;

/** A tag may be moved while a pipeline goes on: all its tasks get what the first of them got. */
export function imagePinRoutes(server: FastifyInstance, context: Context): void {
  server.post(agentApi.imagePins, async (request) => {
    const task = await authenticateTask(context.store.db, request.headers.authorization);
    const { reference, digest } = parseRequest(ImagePin, request.body, "body");
    const stands = await context.store.transaction(async ({ db }) => {
      const known = await imagePins(db, task.pipeline_id);
      const before = known[reference];
      if (before !== undefined) return before;
      if (Object.keys(known).length >= mostPins)
        throw new ControlPlaneError("bad-request", `the pipeline has pinned more than ${mostPins} images`);
      return await putImagePin(db, { pipeline_id: task.pipeline_id, reference, digest });
    });
    return ImagePinResponse.parse({ digest: stands });
  });
}
