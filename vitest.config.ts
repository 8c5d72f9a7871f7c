import { defineConfig } from "vitest/config";

const common = { mockReset: true, restoreMocks: true, unstubEnvs: true } as const;

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...common,
          name: "unit",
          include: ["src/**/*.test.ts", "test/unit/**/*.test.ts"],
          // Some start processes: on a machine that is busy with other things five seconds are soon over.
          testTimeout: 30_000,
        },
      },
      { test: { ...common, name: "scenarios", include: ["test/scenarios/**/*.test.ts"], testTimeout: 60_000 } },
      {
        test: {
          ...common,
          name: "stores",
          // What keeps rows runs on PostgreSQL, too: see test/fakes/test-store.ts.
          include: [
            "test/stores/**/*.test.ts",
            "test/scenarios/**/*.test.ts",
            "src/control-plane/{auth,http,queue,retention,store}/**/*.test.ts",
            "src/control-plane/main.test.ts",
            "src/control-plane/pipelines/start-schedules.test.ts",
          ],
          exclude: ["src/control-plane/store/sqlite.test.ts"],
          testTimeout: 60_000,
          globalSetup: ["test/stores/setup.ts"],
        },
      },
      {
        test: {
          ...common,
          name: "docker",
          include: ["test/docker/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 300_000,
          fileParallelism: false,
          globalSetup: ["test/docker/setup.ts"],
        },
      },
      {
        test: {
          ...common,
          // On Podman alone: scripts/test.ts starts one for it.
          name: "podman",
          include: ["test/podman/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 300_000,
          fileParallelism: false,
          globalSetup: ["test/docker/setup.ts"],
        },
      },
      {
        test: {
          ...common,
          name: "acceptance",
          include: ["test/acceptance/**/*.test.ts"],
          testTimeout: 180_000,
          hookTimeout: 300_000,
          fileParallelism: false,
          globalSetup: ["test/docker/setup.ts"],
        },
      },
      // An engine of its own, without an image: needs root.
      {
        test: {
          ...common,
          name: "bare",
          include: ["test/bare/**/*.test.ts"],
          testTimeout: 900_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
