import type { FastifyInstance } from "fastify";
import { agentApi, ImagePin, ImagePinResponse } from "../../../protocol/agent-api.ts";
import { authenticateTask } from "../../auth/tokens.ts";
import type { Context } from "../../context.ts";
import { ControlPlaneError } from "../../errors.ts";
import { imagePins, putImagePin } from "../../store/image-pins.ts";
import { findJob } from "../../store/pipelines.ts";
import { pinClasses } from "../../tasks/image-pins.ts";
import { TaskTemplate } from "../../tasks/template.ts";
import { parseRequest } from "../request.ts";

/** Far more than the images of one pipeline. */
const mostPins = 2_000;

/** A tag may be moved while a pipeline goes on: its tasks get what the first of them got. */
export function imagePinRoutes(server: FastifyInstance, context: Context): void {
  server.post(agentApi.imagePins, async (request) => {
    const task = await authenticateTask(context.store.db, request.headers.authorization);
    const { reference, digest } = parseRequest(ImagePin, request.body, "body");
    const stands = await context.store.transaction(async ({ db }) => {
      const job = await findJob(db, task.job_id);
      const { container } = TaskTemplate.parse(JSON.parse(job?.template_json ?? ""));
      const { follows, sets } = pinClasses(task.queue, container);
      const known = await imagePins(db, { pipelineId: task.pipeline_id, classes: follows });
      const before = known[reference];
      if (before !== undefined) return before;
      if (Object.keys(known).length >= mostPins)
        throw new ControlPlaneError("bad-request", `the pipeline has pinned more than ${mostPins} images`);
      const resourceClass = sets(reference);
      return await putImagePin(db, { pipeline_id: task.pipeline_id, resource_class: resourceClass, reference, digest });
    });
    return ImagePinResponse.parse({ digest: stands });
  });
}
