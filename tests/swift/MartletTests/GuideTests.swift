import FakeDevice
import Martlet
import Testing

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The lines of RusTorch's guide in Swift.
@Suite struct GuideTests {
    @Test func availability() {
        let coreml = allDevices().filter { $0.kind == .coreml }
        #expect(DeviceManager.isCoreMLAvailable() == coreml.contains { $0.availability.isAvailable })
        #expect(DeviceManager.devices.contains { $0.kind == .metal })
        #expect(DeviceManager.availableDevices.allSatisfy { $0.availability.isAvailable })
        #if os(Linux)
            #expect(!DeviceManager.isCoreMLAvailable() && !DeviceManager.isMetalAvailable())
            #expect(DeviceManager.availableDevices.allSatisfy { $0.kind == .cpu })
        #endif
    }

    @Test func selection() throws {
        let selector = SmartDeviceSelector(devices: DeviceManager.devices)
        let choice = try selector.selectDevice(OperationProfile("matmul", [512, 512], .float32))
        #expect(choice.device.availability.isAvailable && !choice.reason.isEmpty)
        let cache = DeviceCache.global
        cache.warmup()
        #expect(cache.getStats().totalEntries >= DeviceManager.devices.count)
        #expect(cache.cachedStatus("cpu") == .available)
    }

    @Test func backend() throws {
        let config = CoreMLBackendConfig(
            enableCaching: true, maxCacheSize: 1000, enableProfiling: true, autoFallback: true)
        let backend = try CoreMLBackend(config)
        let a = Tensor.randn([256, 256])
        for _ in 0..<4 { _ = try eager("relu", ["x": a], on: backend) }
        let statistics = backend.statistics
        #expect((statistics.totalOperations, statistics.cacheHits, statistics.cacheMisses) == (4, 3, 1))
        #expect(statistics.cacheHitRate == 0.75)
        #expect(backend.profile.runs.count == 4)
        #expect(try CoreMLBackend(CoreMLBackendConfig()).config == BackendConfig())
        #expect(throws: Failure.self) { try CoreMLBackend(CoreMLBackendConfig(maxCacheSize: -1)) }
    }

    @Test func tensorsAndLayers() throws {
        let (a, b) = (Tensor.randn([256, 256]), Tensor.randn([256, 256]))
        let result = try a.matmul(b)
        #expect(result.shape == [256, 256])
        let expected = (0..<256).reduce(0.0) { $0 + a.double(at: 3 * 256 + $1) * b.double(at: $1 * 256 + 5) }
        #expect(abs(result.double(at: 3 * 256 + 5) - expected) < 1e-3)

        let input = Tensor.randn([32, 784])
        let linear = Linear(784, 256)
        let hidden = try linear.forward(input)
        let bias = try #require(linear.bias)
        let sum = (0..<784).reduce(bias.double(at: 7)) {
            $0 + input.double(at: 784 + $1) * linear.weight.double(at: 7 * 784 + $1)
        }
        #expect(abs(hidden.double(at: 256 + 7) - sum) < 1e-3)
        let activated = try hidden.relu()
        #expect((0..<activated.count).allSatisfy { activated.double(at: $0) == max(hidden.double(at: $0), 0) })
        #expect(try Linear(256, 10).forward(activated).shape == [32, 10])
        // Bounds of the initial weights: 1 / √784.
        #expect((0..<linear.weight.count).allSatisfy { abs(linear.weight.double(at: $0)) <= 1 / 28.0 })
    }

    @Test func layersOfGivenWeights() throws {
        let weight = Tensor([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3])
        let layer = try Linear(weight: weight, bias: Tensor([10, 20] as [Float]))
        #expect(try layer(Tensor([1, 0, -1] as [Float], shape: [1, 3])).array(of: Float.self) == [8, 18])
        #expect(try Linear(weight: weight)(Tensor([1, 1, 1] as [Float])).array(of: Float.self) == [6, 15])
        #expect(throws: Failure.self) { try Linear(weight: weight, bias: Tensor([1] as [Float])) }
        #expect(throws: Failure.self) { try Linear(weight: Tensor([1] as [Float])) }
        #expect(throws: Failure.self) { try layer(weight.reshape([3, 2])) }
        #expect(Linear(3, 2, bias: false).bias == nil)
        #expect(
            Linear(3, 2, seed: 4).weight.array(of: Float.self) == Linear(3, 2, seed: 4).weight.array(of: Float.self))
    }
}

/// One rule says where eager calls and models run.
@Suite(.serialized) struct PlacementTests {
    private let fake = FakeDevice()

    /// A backend whose measurements speak for the fake device.
    private func backend(_ config: BackendConfig = BackendConfig()) throws -> Backend {
        let types: [OperationType] = [.elementWise, .activation]
        func costs(_ start: Double) -> [OperationType: Measurements.Cost] {
            Dictionary(uniqueKeysWithValues: types.map { ($0, Measurements.Cost(start: start, perWork: 0)) })
        }
        let measurements = Measurements(machine: .this, costs: ["cpu": costs(1), "fake": costs(1e-6)])
        let selector = SmartDeviceSelector(devices: [try device(named: "cpu"), fake], measurements: measurements)
        return Backend(chooser: NamingAbsent(selector), config: config, keeping: nil)
    }

    private func text(_ line: String, _ shape: String = "[3]") throws -> Model {
        try model("program(1.3) { func main<ios18>(tensor<fp32, \(shape)> x) { \(line) } -> (y); }")
    }

    @Test func modelsGoWhereTheSelectorSays() throws {
        let predictor = try Predictor(text("y = add(x = x, y = x);"), choosing: backend())
        #expect((predictor.device.name, predictor.deviceName) == ("fake", "fake"))
        #expect(try predictor(["x": Tensor([1, 2, 3] as [Float])])["y"]?.array(of: Float.self) == [2, 4, 6])
        #expect(fake.compileCount == 1)
        #expect(predictor.reason.hasPrefix("measured: cpu 1.0 s, fake 1"))
        #expect(try predictor.plan.reason == predictor.reason)
    }

    @Test func flexibleModelsByTheirUsualShape() throws {
        let open = try text("tensor<fp32, [1, ?]> y = relu(x = x)[name = string(\"y\")];", "[1, ?]")
        let predictor = try Predictor(open, choosing: backend())
        #expect(predictor.deviceName == "fake")
        for size in 1...2 {
            #expect(try predictor(["x": Tensor.full([1, size], -1)])["y"]?.array(of: Float.self).max() == 0)
        }
        #expect(fake.compileCount == 2)
    }

    @Test func whatADeviceRefusesGoesToTheNext() throws {
        let tanh = try text("h = add(x = x, y = x); y = tanh(x = h);")
        #expect(try Predictor(tanh, choosing: backend()).deviceName == "cpu")
        let devices: [any Device] = [fake, try device(named: "cpu")]
        let inOrder = try Predictor(tanh, choosing: Backend(devices: devices, keeping: nil))
        #expect(inOrder.deviceName == "cpu")
        #expect(inOrder.reason == "next in the order given")
        let strict = Backend(devices: devices, config: BackendConfig(autoFallback: false), keeping: nil)
        #expect(throws: Failure.self) { try Predictor(tanh, choosing: strict) }
        #expect(fake.compileCount == 0)
    }

    @Test func whatADeviceFailsToCompileGoesToTheNext() throws {
        let model = try text("y = relu(x = x);")
        let cpu = try device(named: "cpu")
        let broken = PlayedDevice(DescribedDevice(name: "broken", kind: .coreml), by: cpu, fails: .compile)
        let backend = Backend(devices: [broken, cpu], keeping: nil)
        let predictor = try Predictor(model, choosing: backend)
        #expect(predictor.deviceName == "cpu")
        #expect(predictor.reason.hasPrefix("next in the order given; broken failed: The device 'broken'"))
        #expect(backend.statistics.fallbacks["broken"]?.values.first == 1)
        let strict = Backend(devices: [broken, cpu], config: BackendConfig(autoFallback: false), keeping: nil)
        let alone = Backend(devices: [broken], keeping: nil)
        for backend in [strict, alone] {
            #expect(throws: Failure.self) { try Predictor(model, choosing: backend) }
            #expect(backend.statistics.fallbacks.isEmpty)
        }
    }

    @Test func aNamedDeviceSaysSo() throws {
        let predictor = try Predictor(text("y = relu(x = x);"), device: "cpu:portable")
        #expect(predictor.deviceName == "cpu:portable")
        #expect(try predictor.plan.reason == "named by the caller")
    }

    @Test func withoutANameItIsTheRuleOfEagerCalls() throws {
        let model = try text("y = relu(x = x);")
        let selector = try #require(Backend.shared.selector)
        let function = try model.program.function()
        let chosen = try selector.selectDevice(OperationProfile(function))
        let predictor = try Predictor(model)
        #expect(predictor.deviceName == chosen.device.name)
        #expect(predictor.reason == chosen.reason)
    }

    private func ran(_ op: String, _ body: () throws -> Void) rethrows -> [Profile.Run] {
        let profile = Profile.begin()
        defer { profile.end() }
        try body()
        return profile.runs.filter { $0.function == op }
    }

    @Test func eagerCallsObeyPinsAtOnce() throws {
        let selector = try #require(Backend.shared.selector)
        let x = Tensor([3] as [Float])
        func hypot() throws { #expect(try eager("hypot", ["x": x, "y": 4.0.beside(.float32)]).double(at: 0) == 5) }
        try hypot()
        try selector.pin("hypot", to: "cpu:portable")
        #expect(try ran("hypot", hypot).map(\.device) == ["cpu:portable"])
        try selector.unpin("hypot")
        #expect(try ran("hypot", hypot).map(\.device) != ["cpu:portable"])
    }

    @Test func measurementsHoldAtOnce() throws {
        let selector = try #require(Backend.shared.selector)
        let before = selector.measurements
        defer { selector.measurements = before }
        var template = Array("/tmp/martlet-test-XXXXXX".utf8CString)
        let folder = CacheFolder(path: try #require(mkdtemp(&template).map { String(cString: $0) }))
        let x = Tensor.ones([8], dtype: .complex64)
        _ = try x + x

        func cost(_ start: Double) -> [OperationType: Measurements.Cost] {
            [.complexNumber: .init(start: start, perWork: 0)]
        }
        let measured = Measurements(machine: .this, costs: ["cpu": cost(1), "cpu:portable": cost(1e-6)])
        let path = try measured.adopt(in: folder)
        defer {
            unlink(path)
            rmdir(folder.path)
        }
        let runs = try ran("add") { _ = try x + x }.filter { $0.reason.hasPrefix("measured: cpu 1.0 s") }
        #expect(runs.map(\.device) == ["cpu:portable"])
        let new = SmartDeviceSelector(stored: Measurements.stored(in: folder))
        #expect(new.measurements == measured)
    }
}
