import MIL
import Runtime
import Testing

private let mac = [described("cpu", .cpu), described("metal", .metal), described("coreml", .coreml)]

@Suite struct SelectorTests {
    /// The table of the guide: small → CPU, medium → Metal, large → Core ML; above Core ML's largest size → Metal.
    @Test(arguments: [
        ("matrix_multiplication", ["cpu", "metal", "coreml", "metal"]),
        ("activation", ["cpu", "metal", "coreml", "metal"]),
        ("convolution", ["cpu", "metal", "coreml", "metal"]),
        ("element_wise", ["cpu", "metal", "coreml", "metal"]),
        ("statistical_distribution", ["cpu", "metal", "metal", "metal"]),
        ("custom_kernel", ["cpu", "metal", "metal", "metal"]),
        ("distributed_operation", ["cpu", "metal", "metal", "metal"]),
    ])
    func theTableHoldsBeforeAnythingIsMeasured(_ type: String, _ expected: [String]) throws {
        let selector = SmartDeviceSelector(devices: mac)
        // Eight bytes an element: 512 elements fill the GPU's 4096 bytes.
        let chosen = try [[255], [512], [1024], [1_048_577]].map { try selector.choice(type, $0, .float64).device.name }
        #expect(chosen == expected)
    }

    @Test func complexNumbersGoToMetalFromMediumOn() throws {
        let selector = SmartDeviceSelector(devices: mac)
        let chosen = try [[255], [512], [1024], [1_048_577]].map {
            try selector.choice("add", $0, .complex64).device.name
        }
        #expect(chosen == ["cpu", "metal", "metal", "metal"])
    }

    @Test func thresholdsCountElementsAndBytes() throws {
        let selector = SmartDeviceSelector(devices: mac)
        // 1000 elements of four bytes are under 4096 bytes; Core ML takes 1024 up to 1,048,576 elements.
        #expect(try selector.choice("relu", [1000]).device.name == "cpu")
        #expect(try selector.choice("relu", [1_048_576]).device.name == "coreml")
        let own = SmartDeviceSelector(
            devices: mac,
            thresholds: DeviceThresholds(coremlMinSize: 100, coremlMaxSize: 200, metalMinSize: 10, gpuMinMemory: 0))
        #expect(
            try [[9], [10], [100], [200], [201]].map { try own.choice("relu", $0).device.name }
                == ["cpu", "metal", "coreml", "coreml", "metal"])
        #expect(throws: Failure.self) { try DeviceThresholds(coremlMinSize: 10, coremlMaxSize: 9).check() }
        #expect(throws: Failure.self) { try DeviceThresholds(metalMinSize: -1).check() }
    }

    @Test func theReasonNamesTheTableAndWhatIsMissing() throws {
        let devices = [
            described("cpu", .cpu), described("metal", .metal, available: false),
            described("coreml", .coreml, refuses: ["relu"]),
        ]
        let choice = try ranking(devices).choice("relu", [4096])
        #expect(choice.device.name == "cpu")
        #expect(choice.basis == .prior)
        #expect(choice.reason.hasPrefix("prior: 4096 elements are large: Core ML; Core ML is refused:"))
        #expect(choice.reason.contains("Metal is not available: It is switched off"))
        #expect(choice.reason.hasSuffix("cpu runs it"))
    }

    @Test func measurementsReplaceTheTable() throws {
        // cpu: 1 µs and 1 ns a step; metal: 100 µs and 0.1 ns; equal at 110,000 steps.
        let devices = [described("cpu", .cpu, a: 1e-6, b: 1e-9), described("metal", .metal, a: 1e-4, b: 1e-10)]
        #expect(try ranking(devices).choice("relu", [100_000]).device.name == "cpu")
        #expect(try ranking(devices).choice("relu", [120_000]).device.name == "metal")
        // The table would say CPU here: 64 elements are small. A product of them is 2 · 8 · 8 · 8 steps.
        let dear = [described("cpu", .cpu, a: 1e-3), described("metal", .metal, a: 1e-5)]
        let choice = try ranking(dear).choice("matmul", [8, 8])
        #expect(choice.device.name == "metal")
        #expect(choice.basis == .measured)
        #expect(choice.reason == "measured: cpu 1.0 ms, metal 10 µs")
    }

    @Test func whatLiesElsewhereIsCopied() throws {
        let clock = TestClock()
        let near = TimedDevice(name: "cpu", clock: clock)
        let far = TimedDevice(name: "metal", clock: clock, kind: .metal, isHostMemory: false)
        let costs = Measurements.Cost(start: 1e-6, perWork: 1e-9)
        let cheap = Measurements.Cost(start: 1e-6, perWork: 1e-10)
        var measured = Measurements(
            machine: somewhere, costs: ["cpu": [.activation: costs], "metal": [.activation: cheap]])
        let selector = SmartDeviceSelector(devices: [near, far], measurements: measured)
        #expect(try selector.choice("relu", [100_000]).device.name == "metal")
        // In and out are 800,000 bytes: at 1 ns each that is 0.8 ms, more than the CPU's 0.1 ms.
        measured.copies = ["metal": 1e-9, "cpu": 1e-3]
        selector.measurements = measured
        #expect(try selector.choice("relu", [100_000]).device.name == "cpu")
    }

    @Test func theDeviceChosenBeforeStaysUnlessAnotherIsBetterByAFifth() throws {
        // In one bucket of sizes the lines cross: first cpu:single is the cheaper, then cpu by 10 %, by 50 %.
        let crossing = [described("cpu", .cpu, a: 0.9e-6), described("cpu:single", .cpu, a: 0, b: 1e-9)]
        let selector = ranking(crossing)
        #expect(try selector.choice("relu", [800]).device.name == "cpu:single")
        let kept = try selector.choice("relu", [1000])
        #expect(kept.device.name == "cpu:single")
        #expect(kept.reason.contains("chosen before"))
        let wide = ranking([
            described("cpu", .cpu, a: 0.7e-6), described("cpu:single", .cpu, a: 0, b: 1e-9),
        ])
        #expect(try wide.choice("relu", [600]).device.name == "cpu:single")
        #expect(try wide.choice("relu", [1000]).device.name == "cpu")
        // Another bucket, another class: no memory of either. Explaining leaves none.
        #expect(try selector.choice("relu", [1100]).device.name == "cpu")
        #expect(try selector.choice("add", [1000]).device.name == "cpu")
        let asked = ranking(crossing)
        _ = try asked.explain(OperationProfile("relu", [800]))
        #expect(try asked.choice("relu", [1000]).device.name == "cpu")
    }

    @Test func newMeasurementsForgetTheOldChoices() throws {
        let devices = [described("cpu", .cpu, a: 1e-6), described("cpu:single", .cpu, a: 1.1e-6)]
        let selector = ranking(devices)
        #expect(try selector.choice("relu", [8]).device.name == "cpu")
        let swapped = [described("cpu", .cpu, a: 1.1e-6), described("cpu:single", .cpu, a: 1e-6)]
        selector.measurements = Measurements(machine: somewhere).describing(swapped)
        #expect(try selector.choice("relu", [8]).device.name == "cpu:single")
    }

    @Test func aChainGoesByCostAndEndsInCPUs() throws {
        let devices = [
            described("cpu", .cpu, a: 2e-6), described("metal", .metal, a: 1e-6), described("coreml", .coreml, a: 3e-6),
            described("cpu:single", .cpu, a: 4e-6),
        ]
        #expect(try ranking(devices).chain("relu", [8]) == ["metal", "cpu", "cpu:single"])
        #expect(try SmartDeviceSelector(devices: mac).chain("matmul", [512, 512]) == ["coreml", "metal", "cpu"])
        #expect(try SmartDeviceSelector(devices: mac).chain("custom_kernel", [512, 512]) == ["metal", "cpu"])
        #expect(try SmartDeviceSelector(devices: mac).chain("matmul", [2, 2]) == ["cpu"])
    }

    @Test func refusedAndMissingDevicesAreLeftOut() throws {
        let devices = [
            described("cpu", .cpu, a: 1), described("metal", .metal, a: 1e-6, refuses: ["matmul"]),
            described("coreml", .coreml, a: 1e-7, available: false),
        ]
        let selector = ranking(devices)
        #expect(try selector.chain("matmul", [64, 64]) == ["cpu"])
        #expect(try selector.chain("matrix_multiplication", [64, 64]) == ["cpu"])
        #expect(try selector.chain("relu", [64, 64]) == ["metal", "cpu"])
    }

    @Test func aFunctionIsRefusedForAnyOfItsOperations() throws {
        var function = Function()
        let x = function.input("x", .tensor(TensorType(.float32, [64, 64])))
        let product = try function.append("matmul", name: "product", ["x": [x], "y": [x]])
        function.block.outputs = try function.append("relu", name: "y", ["x": product])
        let devices = [described("cpu", .cpu), described("coreml", .coreml, refuses: ["relu"])]
        #expect(try ranking(devices).selectDevice(OperationProfile(function)).device.name == "cpu")
    }

    @Test func whereNothingRunsItEachReasonIsNamed() throws {
        let devices = [described("cpu", .cpu, refuses: ["relu"]), described("metal", .metal, available: false)]
        #expect(try ranking(devices).chain("relu", [8]) == [])
        do {
            _ = try ranking(devices).choice("relu", [8])
            Issue.record("something was chosen")
        } catch let failure as Failure {
            #expect(failure.kind == .unsupported)
            #expect(failure.message.contains("cpu: refused") && failure.message.contains("It is switched off"))
        }
    }

    @Test func modesThatChangeResultsAreTakenOnlyWhenPinned() throws {
        let devices = [described("cpu", .cpu, a: 1), described("cpu:declared", .cpu, a: 1e-9, changesResults: true)]
        let selector = ranking(devices)
        #expect(try selector.chain("relu", [8]) == ["cpu"])
        let explanation = try selector.explain(OperationProfile("relu", [8]))
        #expect(explanation.candidates[1].standing == .byName)
        #expect(explanation.candidates[1].words.contains("pinned"))
        try selector.pin("relu", to: "cpu:declared")
        let pinned = try selector.choice("relu", [8])
        #expect(pinned.device.name == "cpu:declared")
        #expect(pinned.reason == "pinned: relu runs on cpu:declared, whose numeric mode changes results")
        try selector.unpin("relu")
        #expect(try selector.choice("relu", [8]).device.name == "cpu")
    }

    @Test func pinsOfOpsGoBeforePinsOfTypes() throws {
        let selector = SmartDeviceSelector(devices: mac)
        try selector.pin("activation", to: "metal")
        try selector.pin("relu", to: "coreml")
        #expect(try selector.choice("relu", [8]).device.name == "coreml")
        #expect(try selector.choice("sigmoid", [8]).device.name == "metal")
        #expect(try selector.chain("relu", [8]) == ["coreml", "cpu"])
        #expect(throws: Failure.self) { try selector.pin("relu", to: "tpu") }
        #expect(throws: Failure.self) { try selector.pin("no_op", to: "cpu") }
    }

    @Test func aPinThatCannotHoldIsSaid() throws {
        let devices = [described("cpu", .cpu), described("metal", .metal, available: false)]
        let selector = ranking(devices)
        try selector.pin("relu", to: "metal")
        let choice = try selector.choice("relu", [8])
        #expect(choice.device.name == "cpu")
        let unused = "pinned to metal, which is not available: It is switched off; "
        #expect(choice.reason == unused + "cpu is the only kind of device here")
    }

    @Test func withCPUsAloneItChoosesAmongThemAndSaysSo() throws {
        let devices = [
            described("cpu", .cpu, a: 0.8e-6), described("cpu:single", .cpu, a: 0.5e-6),
            described("metal", .metal, available: false),
        ]
        let choice = try ranking(devices).choice("relu", [8])
        #expect(choice.device.name == "cpu:single")
        #expect(choice.reason == "measured: cpu 0.8 µs, cpu:single 0.5 µs")
        let unmeasured = [described("cpu", .cpu), described("metal", .metal, available: false)]
        #expect(try ranking(unmeasured).choice("relu", [8]).reason == "the only kind of device here")
    }

    @Test func withoutACPUEvenSmallWorkGoesWhereItCan() throws {
        #expect(try SmartDeviceSelector(devices: Array(mac.dropFirst())).choice("relu", [8]).device.name == "coreml")
        #expect(try SmartDeviceSelector(devices: [mac[2]]).chain("custom_kernel", [8]) == [])
    }

    /// Many machines, many operations: what is chosen can run it, no chain repeats, each ends in a CPU where one can.
    @Test func noRefusedOrMissingDeviceIsEverChosen() throws {
        var dice = Dice(state: 7)
        let ops = [
            "matmul", "relu", "add", "random_normal", "complex_number", "custom_kernel", "distributed_operation",
        ]
        for _ in 0..<1000 {
            let devices = (0..<Int.random(in: 0...6, using: &dice)).map { index in
                described(
                    "d\(index)", DeviceKind.allCases.randomElement(using: &dice) ?? .cpu,
                    a: Bool.random(using: &dice) ? Double.random(in: 0...1e-3, using: &dice) : nil,
                    b: Double.random(in: 0...1e-8, using: &dice), available: Int.random(in: 0...3, using: &dice) > 0,
                    changesResults: Int.random(in: 0...5, using: &dice) == 0,
                    refuses: Set(ops.filter { _ in Int.random(in: 0...4, using: &dice) == 0 }))
            }
            let selector = ranking(devices)
            for _ in 0..<4 {
                let op = ops.randomElement(using: &dice) ?? "add"
                let shape = (0..<Int.random(in: 0...3, using: &dice)).map { _ in Int.random(in: 0...200, using: &dice) }
                let profile = try OperationProfile(
                    op, shape, [.float32, .complex64, .int8].randomElement(using: &dice) ?? .float32)
                let chain = selector.fallbackChain(profile)
                let able = devices.filter {
                    $0.availability.isAvailable && $0.refusal(of: profile) == nil && !$0.changesResults
                        && ($0.kind != .coreml || profile.type.mayUseCoreML)
                }
                let names = chain.map(\.device.name)
                #expect(Set(names).isSubset(of: able.map(\.name)))
                #expect(Set(names).count == names.count)
                #expect(names.isEmpty == able.isEmpty)
                if able.contains(where: { $0.kind == .cpu }) { #expect(chain.last?.device.kind == .cpu) }
                let chosen = try? selector.selectDevice(profile)
                #expect(chosen?.device.name == names.first)
            }
        }
    }
}
