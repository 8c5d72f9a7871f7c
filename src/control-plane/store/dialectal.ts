/** What migrations must know of the database that they run on. */
export interface Dialectal {
  /** The column type for bytes. */
  bytes: "blob" | "bytea";
}
