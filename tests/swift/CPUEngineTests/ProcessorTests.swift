import CKernels
import Foundation
import Testing

/// CPU quotas as the kernel's documentation describes them: cgroup-v2.rst (`cpu.max`) and cgroup-v1's `cpu.cfs_quota_us`.
@Suite struct ProcessorTests {
    /// Calls `body` with a folder that holds the files, by path.
    private func withRoot(_ files: [String: String], _ body: (String) throws -> Void) throws {
        let root = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-cgroup-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: root) }
        for (path, text) in files {
            let file = root.appendingPathComponent(path)
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: file)
        }
        try body(root.path)
    }

    private func quota(_ files: [String: String]) throws -> Double {
        var result = -1.0
        try withRoot(files) { result = mk_cpu_quota($0) }
        return result
    }

    @Test func noFilesMeanNoLimit() throws {
        #expect(try quota([:]) == 0)
        #expect(try quota(["proc/self/cgroup": "0::/\n"]) == 0)
    }

    @Test func version2() throws {
        #expect(try quota(["proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/cpu.max": "150000 100000\n"]) == 1.5)
        #expect(try quota(["proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/cpu.max": "max 100000\n"]) == 0)
    }

    @Test func theLeastOfNestedGroupsCounts() throws {
        let files = [
            "proc/self/cgroup": "0::/a/b/c\n", "sys/fs/cgroup/a/b/c/cpu.max": "max 100000\n",
            "sys/fs/cgroup/a/b/cpu.max": "50000 25000\n", "sys/fs/cgroup/a/cpu.max": "400000 100000\n",
        ]
        #expect(try quota(files) == 2)
    }

    @Test func aContainerThatSeesTheHostsPathHasItsLimitAtTheRoot() throws {
        #expect(
            try quota(["proc/self/cgroup": "0::/docker/4711\n", "sys/fs/cgroup/cpu.max": "100000 100000\n"]) == 1)
    }

    @Test(arguments: ["cpu", "cpu,cpuacct"])
    func version1(mount: String) throws {
        let files = [
            "proc/self/cgroup": "5:memory:/x\n4:cpu,cpuacct:/docker/4711\n",
            "sys/fs/cgroup/\(mount)/docker/4711/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/\(mount)/docker/4711/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/\(mount)/docker/cpu.cfs_quota_us": "300000\n",
            "sys/fs/cgroup/\(mount)/docker/cpu.cfs_period_us": "100000\n",
        ]
        #expect(try quota(files) == 3)
    }

    @Test func bothVersionsAtOnce() throws {
        let files = [
            "proc/self/cgroup": "4:cpu:/\n0::/\n", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n", "sys/fs/cgroup/unified/cpu.max": "50000 100000\n",
        ]
        #expect(try quota(files) == 0.5)
    }

    @Test(arguments: ["", "max", "-5 100000", "1e9", "100000 0", "\u{0}", String(repeating: "9", count: 5000)])
    func whatIsNoQuotaIsNone(text: String) throws {
        #expect(try quota(["proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": text]) == 0)
    }

    /// `cpu.stat` as in cgroup-v2.rst; version 1 has three of its lines.
    @Test func throttledPeriodsOfAllLevels() throws {
        let files = [
            "proc/self/cgroup": "4:cpu,cpuacct:/c\n0::/a/b\n",
            "sys/fs/cgroup/a/b/cpu.stat":
                "usage_usec 12\nuser_usec 10\nsystem_usec 2\nnr_periods 9\nnr_throttled 3\nthrottled_usec 70\n",
            "sys/fs/cgroup/a/cpu.stat": "usage_usec 12\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\n",
            "sys/fs/cgroup/cpu/c/cpu.stat": "nr_periods 40\nnr_throttled 20\nthrottled_time 123456\n",
        ]
        try withRoot(files) { #expect(mk_throttled($0) == 23) }
        try withRoot([:]) { #expect(mk_throttled($0) == 0) }
        try withRoot(["proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.stat": "nr_throttled -4\nnr_throttled"]) {
            #expect(mk_throttled($0) == 0)
        }
    }

    @Test(arguments: [
        (0, 8, 8), (0.5, 8, 2), (1, 8, 2), (2, 8, 2), (2.5, 8, 3), (7.9, 8, 8), (64, 8, 8), (1, 1, 1), (0.1, 2, 2),
    ])
    func threadsWithinAQuota(quota: Double, processors: Int32, threads: Int32) {
        #expect(mk_threads_within(quota, processors) == threads)
    }

    @Test func processorsAreAtLeastOne() { #expect(mk_processors() >= 1) }
}
