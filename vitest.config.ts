import { defineConfig } from "vitest/config";

const common = { mockReset: true, restoreMocks: true, unstubEnvs: true } as const;

export default defineConfig({
  test: {
    projects: [
      { test: { ...common, name: "unit", include: ["src/**/*.test.ts", "test/unit/**/*.test.ts"] } },
      { test: { ...common, name: "scenarios", include: ["test/scenarios/**/*.test.ts"], testTimeout: 60_000 } },
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
          name: "acceptance",
          include: ["test/acceptance/**/*.test.ts"],
          testTimeout: 180_000,
          hookTimeout: 300_000,
          fileParallelism: false,
          globalSetup: ["test/docker/setup.ts"],
        },
      },
    ],
  },
});
