import MIL
import Synchronization
import Testing

@testable import Martlet
@testable import Runtime

/// A chooser whose chain the test can see asked for.
private func backend(_ devices: [any Device], _ change: (inout BackendConfig) -> Void = { _ in }) -> Backend {
    var config = BackendConfig()
    change(&config)
    return Backend(devices: devices, config: config, keeping: nil)
}

@Suite struct BackendTests {
    @Test func defaults() {
        let config = BackendConfig()
        #expect(config.enableCaching && config.autoFallback && !config.enableProfiling)
        #expect((config.maxCacheSize, config.maxCacheBytes) == (1000, 104_857_600))
        #expect(config.fallbackMode == .allow)
    }

    @Test func runsAndCounts() throws {
        let device = try CountingDevice()
        let backend = backend([device])
        for _ in 0..<3 { #expect(try backend.run(plus(2), [ones()])[0].array(of: Float.self) == [3, 3, 3, 3]) }
        #expect(try backend.run(plus(5), [ones()])[0].array(of: Float.self) == [6, 6, 6, 6])
        let found = backend.statistics
        #expect((found.totalOperations, found.cacheHits, found.cacheMisses) == (4, 2, 2))
        #expect((found.fallbackOperations, found.cacheEntries) == (0, 2))
        #expect(found.cacheHitRate == 0.5 && found.fallbackRate == 0)
        #expect(found.averageExecutionTimeMs > 0)
        #expect(device.compileCount == 2)
    }

    @Test func ratesBeforeTheFirstRunAreZero() {
        let found = Statistics()
        #expect(found.cacheHitRate == 0 && found.fallbackRate == 0 && found.averageExecutionTimeMs == 0)
    }

    @Test func averageIsThatOfTheRuns() throws {
        let backend = backend([try played("slow", latencyNanoseconds: 5_000_000)])
        for _ in 0..<4 { _ = try backend.run(plus(1), [ones()]) }
        #expect(backend.statistics.averageExecutionTimeMs >= 5)
        #expect(backend.statistics.averageExecutionTimeMs < 1000)
    }

    @Test func keptFunctionsCountAsHits() throws {
        let backend = backend([try CountingDevice()])
        let prepared = try backend.executable(for: plus(1))
        #expect(!prepared.wasCached && prepared.isCurrent)
        for _ in 0..<5 { _ = try prepared.run([ones()]) }
        #expect((backend.statistics.cacheHits, backend.statistics.cacheMisses) == (4, 1))
        #expect(try backend.executable(for: plus(1)).wasCached)
        backend.cleanup()
        #expect(!prepared.isCurrent)
        #expect(try !backend.executable(for: plus(1)).wasCached)
    }

    @Test func theKeyIsTheContent() throws {
        let device = try CountingDevice()
        let backend = backend([device])
        for _ in 0..<2 {
            for function in [try plus(1), try plus(1, count: 5), try plus(1, dtype: "fp16"), try plus(1.5)] {
                _ = try backend.executable(for: function)
            }
        }
        #expect(device.compileCount == 4)
    }

    /// Large constants count by the memory they lie in, which the entry holds.
    @Test func largeConstantsCountByPlace() throws {
        func large(_ tensor: Tensor) throws -> Function {
            var function = Function()
            let x = function.input("x", .tensor(tensor.type))
            let y = function.constant(tensor, name: "weights")
            function.block.outputs = try function.append("add", name: "y", ["x": [x], "y": [y]])
            return function
        }
        let device = try CountingDevice()
        let backend = backend([device])
        let count = 300_000
        let one = ones(count)
        for _ in 0..<2 { _ = try backend.executable(for: large(one)) }
        #expect(device.compileCount == 1)
        _ = try backend.executable(for: large(Tensor([Float](repeating: 2, count: count), shape: [count])))
        #expect(device.compileCount == 2)
    }

    @Test func withoutCachingNothingIsKept() throws {
        let device = try CountingDevice()
        let backend = backend([device]) { $0.enableCaching = false }
        for _ in 0..<3 { _ = try backend.run(plus(1), [ones()]) }
        let found = backend.statistics
        #expect(device.compileCount == 3)
        #expect((found.totalOperations, found.cacheHits, found.cacheMisses, found.cacheEntries) == (3, 0, 0, 0))
    }

    @Test func newSettingsHoldAtOnce() throws {
        let backend = backend([try CountingDevice()])
        for number in 0..<5 { _ = try backend.run(plus(Float(number)), [ones()]) }
        var config = backend.config
        config.maxCacheSize = 2
        try backend.configure(config)
        #expect(backend.statistics.cacheEntries == 2)
        #expect(try backend.executable(for: plus(4)).wasCached)
        #expect(try !backend.executable(for: plus(0)).wasCached)
        config.maxCacheBytes = 1
        try backend.configure(config)
        #expect(backend.statistics.cacheEntries == 0)
        config.maxCacheSize = -1
        #expect(failure { try backend.configure(config) }?.kind == .invalidArgument)
        #expect(backend.config.maxCacheSize == 2)
    }

    @Test func changesOfSettingsDoNotUndoEachOther() async throws {
        let backend = backend([try CountingDevice()])
        await withTaskGroup(of: Void.self) { group in
            for number in 1...100 {
                group.addTask { try? backend.configure { $0.maxCacheSize += number } }
                group.addTask { try? backend.configure { $0.maxCacheBytes += 1 } }
            }
        }
        #expect(backend.config.maxCacheSize == 1000 + 5050)
        #expect(backend.config.maxCacheBytes == (100 << 20) + 100)
    }

    @Test func oneCompilesForAllWhoAsk() async throws {
        let device = try CountingDevice(nanoseconds: 20_000_000)
        let backend = backend([device])
        let function = try plus(1)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<16 { group.addTask { _ = try backend.run(function, [ones()]) } }
            try await group.waitForAll()
        }
        #expect(device.compileCount == 1)
        let found = backend.statistics
        #expect((found.totalOperations, found.cacheHits, found.cacheMisses) == (16, 15, 1))
    }

    // MARK: Fallback

    @Test func theNextDeviceTakesWhatOneRefuses() throws {
        let (first, second) = (try played("first", refuses: ["add"]), try played("second", fails: .compile))
        let backend = backend([first, second, try CountingDevice("last")])
        let prepared = try backend.executable(for: plus(1))
        #expect(prepared.device == "last")
        #expect(prepared.fallbacks.map(\.device) == ["first", "second"])
        for _ in 0..<3 { #expect(try prepared.run([ones()])[0].array(of: Float.self) == [2, 2, 2, 2]) }
        let found = backend.statistics
        #expect((found.totalOperations, found.fallbackOperations, found.fallbackRate) == (3, 3, 1))
        #expect(found.fallbacks["first"]?.values.map { $0 } == [3])
        #expect(found.fallbacks["first"]?.keys.first?.contains("'add'") == true)
        #expect(found.fallbacks["second"] == ["The device 'second' is described as failing to compile.": 3])
    }

    @Test func theNextDeviceTakesOverARunThatFails() throws {
        let backend = backend([try played("breaks", fails: .run), try CountingDevice("next")])
        let prepared = try backend.executable(for: plus(1))
        #expect(prepared.device == "breaks")
        #expect(try prepared.run([ones()])[0].array(of: Float.self) == [2, 2, 2, 2])
        #expect(prepared.device == "next")
        _ = try prepared.run([ones()])
        #expect(try backend.executable(for: plus(1)).device == "next")
        let found = backend.statistics
        #expect((found.totalOperations, found.fallbackOperations) == (2, 2))
        #expect(found.fallbacks == ["breaks": ["The device 'breaks' is described as failing to run.": 2]])
    }

    @Test func aMissingDeviceIsAReason() throws {
        let missing = try played("coreml", kind: .coreml, availability: .unavailable(reason: "It is not here."))
        let backend = backend([missing, try CountingDevice()])
        _ = try backend.run(plus(1), [ones()])
        #expect(backend.statistics.fallbacks == ["coreml": ["It is not here.": 1]])
    }

    @Test(arguments: [false, true]) func fallbackCanBeOff(byMode: Bool) throws {
        func off(_ config: inout BackendConfig) {
            if byMode { config.fallbackMode = .error } else { config.autoFallback = false }
        }
        let refusing = try played("refusing", refuses: ["add"])
        let failed = failure {
            _ = try backend([refusing, try CountingDevice()], off).run(plus(1), [ones()])
        }
        #expect(failed?.kind == .unsupported)
        for word in ["'refusing'", "'add'", "described to refuse"] { #expect(failed?.message.contains(word) == true) }
        let breaking = try played("breaking", fails: .run)
        let broken = failure { _ = try backend([breaking, try CountingDevice()], off).run(plus(1), [ones()]) }
        #expect(broken?.message.contains("'breaking'") == true)
        #expect(try backend([try CountingDevice()], off).run(plus(1), [ones()]).count == 1)
    }

    /// Turning fallback off holds for what is kept already, and turning it on again, too.
    @Test func fallbackIsDecidedAtEachRun() throws {
        let backend = backend([try played("refusing", refuses: ["add"]), try CountingDevice()])
        let prepared = try backend.executable(for: plus(1))
        _ = try prepared.run([ones()])
        var config = backend.config
        config.autoFallback = false
        try backend.configure(config)
        #expect(failure { _ = try prepared.run([ones()]) }?.kind == .unsupported)
        #expect(failure { _ = try backend.run(plus(1), [ones()]) }?.kind == .unsupported)
        config.autoFallback = true
        try backend.configure(config)
        #expect(try prepared.run([ones()]).count == 1)
        #expect(backend.statistics.totalOperations == 2)
    }

    @Test func theCallersFaultsDoNotFallBack() throws {
        let next = try CountingDevice("next")
        let backend = backend([try CountingDevice("first"), next])
        let failed = failure { _ = try backend.run(plus(1), [ones(5)]) }
        #expect(failed?.kind == .invalidArgument)
        #expect(next.compileCount == 0)
        let found = backend.statistics
        #expect((found.totalOperations, found.fallbackOperations) == (0, 0))
    }

    @Test func whereAllRefuseEachIsNamed() throws {
        let backend = backend([try played("one", refuses: ["add"]), try played("two", fails: .compile)])
        let failed = failure { _ = try backend.run(plus(1), [ones()]) }
        #expect(failed?.kind == .unsupported)
        for word in ["one:", "two:", "described"] { #expect(failed?.message.contains(word) == true) }
        #expect(backend.statistics.cacheEntries == 0)
    }

    /// Whatever the devices do: the device that ran is not one that refused, and each refusal is counted once a run.
    @Test(arguments: 0..<30) func randomChains(seed: UInt64) throws {
        var dice = Dice(state: seed)
        let kinds = (0..<4).map { _ in Int.random(in: 0..<4, using: &dice) }
        var devices: [any Device] = try kinds.enumerated().map { index, kind in
            try played(
                "device\(index)", refuses: kind == 0 ? ["add"] : [], fails: [nil, .compile, .run, nil][kind])
        }
        devices.append(try CountingDevice("last"))
        let expected = kinds.firstIndex(of: 3) ?? 4
        let backend = backend(devices)
        let runs = Int.random(in: 1...5, using: &dice)
        for _ in 0..<runs { _ = try backend.run(plus(1), [ones()]) }
        #expect(try backend.executable(for: plus(1)).device == devices[expected].name)
        let found = backend.statistics
        #expect(found.fallbackOperations == (expected == 0 ? 0 : runs))
        #expect(Set(found.fallbacks.keys) == Set(devices[..<expected].map(\.name)))
        #expect(found.fallbacks.values.allSatisfy { $0.values.reduce(0, +) == runs })
    }

    // MARK: Chains

    private func chain(_ function: Function, refuses: Set<String> = []) throws -> [String] {
        let devices: [any Device] = [
            try played("npu", kind: .coreml, refuses: refuses), try played("gpu", kind: .metal),
            try played("host", kind: .cpu),
        ]
        return try NamingAbsent(SmartDeviceSelector(devices: devices)).fallbackChain(for: function).map(\.device.name)
    }

    @Test func complexAndRandomGoToMetalThenCPU() throws {
        // Written by hand, so that it does not matter whether the table's op takes complex numbers already.
        var complex = Function()
        let type = ValueType.tensor(TensorType(.complex64, [64, 64]))
        let x = complex.input("x", type)
        let y = complex.add(Value(name: "y", type: type))
        complex.block.operations = [Operation("add", [Argument("x", [x]), Argument("y", [x])], outputs: [y])]
        complex.block.outputs = [y]
        #expect(try chain(complex) == ["gpu", "host"])
        let random = """
            program(1.3) { func main<ios18>() {
                y = random_normal(shape = [64, 64], mean = fp32(0), stddev = fp32(1), seed = 1);
            } -> (y); }
            """
        #expect(try chain(Program(text: random).function()) == ["gpu", "host"])
    }

    @Test func whatCoreMLRefusesGoesDownTheChain() throws {
        let product = """
            program(1.3) { func main<ios18>(tensor<fp32, [64, 64]> x) { y = matmul(x = x, y = x); } -> (y); }
            """
        let function = try Program(text: product).function()
        #expect(try chain(function) == ["npu", "gpu", "host"])
        // Refused, it stays in front, so that it is counted with its reason.
        #expect(try chain(function, refuses: ["matmul"]) == ["npu", "gpu", "host"])
        let devices: [any Device] = [
            try played("npu", kind: .coreml, refuses: ["matmul"]), try played("host", kind: .cpu),
        ]
        let backend = Backend(chooser: NamingAbsent(SmartDeviceSelector(devices: devices)), keeping: nil)
        let prepared = try backend.executable(for: function)
        #expect(prepared.device == "host")
        #expect(prepared.fallbacks.map(\.device) == ["npu"])
    }

    @Test func theReasonIsThatOfTheLastChoice() throws {
        let selector = SmartDeviceSelector(devices: [try played("host", kind: .cpu)])
        let backend = Backend(chooser: selector, keeping: nil)
        let before = try backend.executable(for: plus(1))
        #expect(before.reason == "the only kind of device here")
        try selector.pin("add", to: "host")
        let after = try backend.executable(for: plus(1))
        #expect(after.wasCached)
        #expect(after.reason.contains("pinned"), "\(after.reason)")
    }

    @Test func onThisMachineTheReasonIsTheTruth() throws {
        let backend = Backend.coreML()
        let function = try plus(1, count: 4096)
        #expect(try backend.run(function, [ones(4096)])[0].array(of: Float.self).allSatisfy { $0 == 2 })
        if case .unavailable(let reason) = try #require(allDevices().first { $0.name == "coreml" }).availability {
            #expect(backend.statistics.fallbacks["coreml"] == [reason: 1])
        }
    }

    @Test func aPredictorOverABackendIsCounted() throws {
        let backend = backend([try played("refusing", refuses: ["add"]), try CountingDevice("next")])
        let predictor = try Predictor(Model(Program(functions: [plus(1)])), device: backend.device)
        #expect(predictor.deviceName == "next")
        for _ in 0..<2 { #expect(try predictor(["x": ones()])["y"]?.array(of: Float.self) == [2, 2, 2, 2]) }
        let found = backend.statistics
        #expect((found.totalOperations, found.fallbackOperations, found.cacheMisses) == (2, 2, 1))
    }
}
