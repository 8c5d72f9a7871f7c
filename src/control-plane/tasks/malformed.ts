/** What a job's config says cannot be turned into a task. The message is the job's reason. */
export class MalformedJob extends Error {
  override name = "MalformedJob";
}
