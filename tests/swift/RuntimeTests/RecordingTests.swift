import MIL
import Synchronization
import Testing

@testable import Martlet
@testable import Runtime

/// The log and the recording of the process are one: these tests go one after the other.
@Suite(.serialized) struct RecordingTests {
    private static let network = """
        program(1.3) { func main<ios18>(tensor<fp32, [64, 64]> x) {
            tensor<fp32, [64, 64]> h = matmul(x = x, y = x);
            tensor<fp32, [64]> y = reduce_sum(x = h, axes = [1], keep_dims = false);
        } -> (y); }
        """

    private func input() -> Tensor { Tensor([Float](repeating: 1, count: 4096), shape: [64, 64]) }

    @Test func recordsEveryStepOfABackend() throws {
        var config = BackendConfig()
        config.enableProfiling = true
        let backend = Backend(devices: [try device(named: "cpu")], config: config, keeping: nil)
        let function = try Program(text: RecordingTests.network).function()
        for _ in 0..<2 { _ = try backend.run(function, [input()]) }
        let (runs, steps) = (backend.profile.runs, backend.profile.steps)
        #expect(runs.count == 2 && runs.allSatisfy { $0.device == "cpu" && $0.duration > 0 && !$0.reason.isEmpty })
        let plan = try backend.executable(for: function).executable.plan
        #expect(steps.map(\.kernel) == (plan.steps + plan.steps).map(\.kernel))
        #expect(
            steps.map(\.run) == Array(repeating: 0, count: plan.steps.count)
                + Array(repeating: 1, count: plan.steps.count))
        // Both operands are one tensor of 64 x 64 floats, as is the result.
        let product = try #require(steps.first { $0.ops.contains("matmul") })
        #expect(product.bytes >= 2 * 4096 * 4 && product.bytes <= 3 * 4096 * 4)
        for (run, step) in steps.map({ (runs[$0.run], $0) }) {
            #expect(step.start >= run.start && step.start + step.duration <= run.start + run.duration)
        }
        config.enableProfiling = false
        try backend.configure(config)
        _ = try backend.run(function, [input()])
        #expect(backend.profile.runs.count == 2)
    }

    @Test func recordsWhatTheProcessRuns() throws {
        let predictor = try Predictor(Model(Program(text: RecordingTests.network)), device: "cpu")
        let backend = Backend(devices: [try device(named: "cpu")], keeping: nil)
        let mark = "marked\(UInt64.random(in: 0 ... .max))"
        var function = try Program(text: RecordingTests.network).function()
        function.name = mark
        let profile = Profile.begin()
        _ = try predictor(["x": input()])
        let before = profile.runs.count
        #expect(before >= 1)
        _ = try Predictor(Model(Program(functions: [function], defaultFunction: mark)), device: backend.device)(
            ["x": input()])
        // Once, though both a predictor and a backend took part.
        #expect(profile.runs.filter { $0.function == mark }.count == 1)
        profile.end()
        let (count, time) = (profile.runs.count, profile.duration)
        _ = try backend.run(function, [input()])
        #expect(profile.runs.count == count && profile.duration == time && profile.isEnded)
    }

    @Test func chromeTraceIsJSON() throws {
        let profile = Profile.begin()
        defer { profile.end() }
        _ = try Backend(devices: [try device(named: "cpu")], keeping: nil).run(
            Program(text: RecordingTests.network).function(), [input()])
        let trace = profile.chromeTrace
        for word in ["\"ph\":\"X\"", "\"cat\":\"run\"", "\"cat\":\"op\"", "matmul", "\"ts\":", "\"dur\":", "\"tid\":"] {
            #expect(trace.contains(word))
        }
    }

    // MARK: The log

    private final class Lines: Sendable {
        let all = Mutex<[(Log.Level, String)]>([])

        func has(_ level: Log.Level, _ words: String) -> Bool {
            all.withLock { $0.contains { $0.0 == level && $0.1.contains(words) } }
        }
    }

    private func lines(_ level: Log.Level, _ body: () throws -> Void) rethrows -> Lines {
        let lines = Lines()
        Log.send(to: { level, text in lines.all.withLock { $0.append((level, text)) } }, level: level)
        defer { Log.send(to: nil) }
        try body()
        return lines
    }

    @Test(arguments: [BackendConfig.FallbackMode.allow, .warn]) func fallbacksAreTold(mode: BackendConfig.FallbackMode)
        throws
    {
        var config = BackendConfig()
        config.fallbackMode = mode
        let devices: [any Device] = [try played("teller", refuses: ["add"]), try device(named: "cpu")]
        let found = try lines(.debug) {
            _ = try Backend(devices: devices, config: config, keeping: nil).run(plus(1), [ones()])
        }
        #expect(found.has(mode == .warn ? .warning : .info, "teller"))
        #expect(found.has(.debug, "was compiled for cpu"))
    }

    @Test func theLevelIsALimit() throws {
        let found = lines(.warning) {
            for level in Log.Level.allCases { Log.write(level, "level test \(level)") }
        }
        #expect(found.has(.error, "level test error") && found.has(.warning, "level test warning"))
        #expect(!found.has(.info, "level test") && !found.has(.debug, "level test") && !found.has(.off, "level test"))
    }

    @Test func evictionsAreTold() throws {
        let found = try lines(.debug) {
            var config = BackendConfig()
            config.maxCacheSize = 1
            let backend = Backend(devices: [try device(named: "cpu")], config: config, keeping: nil)
            for number in 0..<2 { _ = try backend.run(plus(Float(number)), [ones()]) }
        }
        #expect(found.has(.debug, "left the cache"))
    }
}
