import type { Reporter } from "../diagnostics/reporter.ts";
import { get, isText, type MapNode, type Node } from "../parse/node.ts";
import { placesOf } from "./definitions.ts";

/** Images of jobs and executors: digests that can't be any, and names that are out of date. */
export function lintImages(root: MapNode, reporter: Reporter): void {
  for (const place of placesOf(root)) {
    const docker = get(place, "docker");
    for (const item of docker?.kind === "list" ? docker.items : []) lintImage(get(item, "image"), reporter);
  }
}

const digest = /^sha256:[a-f0-9]{64}$/;

function lintImage(image: Node | undefined, reporter: Reporter): void {
  // A template or a variable may become anything.
  if (!isText(image) || image.templated || image.value.includes("$")) return;
  const at = image.value.indexOf("@");
  const found = image.value.slice(at + 1);
  if (at !== -1 && !digest.test(found)) {
    const message = `Invalid Docker image digest format "${found}". Expected format: sha256:<64 hex characters>`;
    reporter.report({
      code: "image-digest",
      at: image,
      message,
      hint: "Copy the whole digest, or name a tag: image:tag.",
    });
  }
  if (image.value.startsWith("circleci/")) {
    const message =
      "Docker images from `circleci` namespace are deprecated. Please use its `cimg` namespace's alternative.";
    reporter.report({ code: "deprecated", at: image, message, hint: `Perhaps cimg/${image.value.slice(9)}.` });
  }
}
