/**
 * What came out of a container is not what the protocol allows. It ends that one task, as an infrastructure failure:
 * whatever wrote it, it was not our task agent doing its work.
 */
export class ChannelViolation extends Error {
  override name = "ChannelViolation";
}
