import FakeDevice
import Passes
import Synchronization
import Testing

@testable import Martlet

private let counting = """
    program(1.3) { func main<ios18>(state<tensor<fp32, [2]>> count, tensor<fp32, [2]> x) {
        tensor<fp32, [2]> before = read_state(input = count)[name = string("before")];
        tensor<fp32, [2]> y = add(x = before, y = x)[name = string("y")];
        write_state(input = count, data = y);
    } -> (y, before); }
    """

private let open = """
    program(1.3) { func main<ios18>(tensor<fp32, [?]> x) {
        tensor<fp32, [?]> y = relu(x = x)[name = string("y")];
    } -> (y); }
    """

private func ones(_ count: Int = 2, _ value: Float = 1) -> [String: Tensor] {
    ["x": Tensor([Float](repeating: value, count: count))]
}

/// A device that keeps states itself, runs batches itself, and counts both.
private final class KeepingDevice: Device {
    let name = "keeping"
    let summary = "a device for tests of states"
    let kind = DeviceKind.cpu
    let availability = Availability.available
    let keepsStates = true
    let batches = Mutex<[Int]>([])

    func assess(_ call: Call) -> Verdict { .native }

    func compile(_ function: Function) throws -> any Executable {
        let states = function.states.map { id -> Port in
            guard case .state(let type) = function[id].type else { return Port(name: "", type: TensorType(.bool, [])) }
            return Port(name: function[id].name, type: type)
        }
        return KeepingExecutable(
            device: self, states: states, real: try FakeDevice().compile(function.withoutStates()))
    }
}

private final class Kept: ExecutableState {
    let values = Mutex<[String: Tensor]>([:])

    func value(of name: String) throws -> Tensor {
        try values.withLock {
            guard let value = $0[name] else { throw Failure(.bug, "There is no '\(name)'.") }
            return value
        }
    }

    func set(_ value: Tensor, for name: String) { values.withLock { $0[name] = value } }
}

/// The states stand first among the inputs of the programs here, and last among the outputs.
private struct KeepingExecutable: Executable {
    let device: KeepingDevice
    let states: [Port]
    let real: any Executable

    var inputs: [Port] { Array(real.inputs.dropFirst(states.count)) }
    var outputs: [Port] { Array(real.outputs.dropLast(states.count)) }
    var plan: Plan { real.plan }

    func makeState() -> (any ExecutableState)? {
        let kept = Kept()
        for port in states {
            kept.set(Tensor([Float](repeating: 0, count: port.type.count), shape: port.type.shape), for: port.name)
        }
        return kept
    }

    func run(_ inputs: [Tensor], observing observer: Observer?) throws -> [Tensor] {
        try real.run(inputs, observing: observer)
    }

    func run(_ inputs: [Tensor], state: any ExecutableState, observing observer: Observer?) throws -> [Tensor] {
        let before = try states.map { try state.value(of: $0.name) }
        let results = try real.run(before + inputs, observing: observer)
        for (port, value) in zip(states, results.suffix(states.count)) { try state.set(value, for: port.name) }
        return results.dropLast(states.count)
    }

    func run(batch: [[Tensor]]) throws -> [[Tensor]] {
        device.batches.withLock { $0.append(batch.count) }
        return try batch.map { try run($0, observing: nil) }
    }
}

private func failure(_ body: () async throws -> Void) async -> Failure? {
    do { try await body() } catch { return error as? Failure }
    return nil
}

@Suite struct StateTests {
    @Test func withoutStatesIsAFunctionOfTensors() throws {
        let function = try Program(text: counting).function().withoutStates()
        #expect(function.states.isEmpty)
        #expect(function.inputs.map { function[$0].name } == ["count", "x"])
        #expect(function.outputs.map { function[$0].name } == ["y", "before", "count_after"])
        #expect(function.operations.map(\.op) == ["add", "identity", "identity"])
        let plain = try Program(text: open).function()
        #expect(try plain.withoutStates().text == plain.text)
    }

    @Test func aChangeInsideABranchIsRefused() throws {
        let text = """
            func main<ios18>(state<tensor<fp32, [2]>> s, tensor<fp32, [2]> x) {
                tensor<fp32, [2]> y = relu(x = x)[name = string("y")] {
                    write_state(input = s, data = x);
                } -> (x);
            } -> (y);
            """
        let function = try Function(text: text)
        #expect(throws: Failure.self) { try function.withoutStates() }
    }

    @Test(arguments: [false, true]) func eachPredictionGoesOnFromTheOneBefore(isKept: Bool) throws {
        let device: any Device = isKept ? KeepingDevice() : FakeDevice()
        let predictor = try Predictor(model(counting), device: device)
        #expect(predictor.inputs.map(\.name) == ["x"])
        #expect(predictor.outputs.map(\.name) == ["y", "before"])
        #expect(predictor.states == [Port(name: "count", type: TensorType(.float32, [2]))])
        let state = try predictor.makeState()
        for step in 1...3 {
            let results = try predictor.predict(ones(), state: state)
            #expect(results.count == 2)
            #expect(results["y"]?.double(at: 1) == Double(step))
            #expect(results["before"]?.double(at: 0) == Double(step - 1))
            #expect(try state.value(of: "count").double(at: 0) == Double(step))
        }
        try state.set(Tensor([10, 20] as [Float]), for: "count")
        #expect(try predictor.predict(ones(), state: state)["y"]?.array(of: Float.self) == [11, 21])
        #expect(throws: Failure.self) { try predictor.predict(ones()) }
        #expect(throws: Failure.self) { try predictor.run(batch: [[Tensor([1, 1] as [Float])]]) }
        #expect(throws: Failure.self) { try state.set(Tensor([1] as [Float]), for: "count") }
        #expect(throws: Failure.self) { try state.value(of: "x") }
    }

    @Test func aStateOfAnotherKindIsRefused() throws {
        let (kept, plain) = (
            try Predictor(model(counting), device: KeepingDevice()),
            try Predictor(model(counting), device: FakeDevice())
        )
        let (first, second) = (try kept.makeState(), try plain.makeState())
        #expect(throws: Failure.self) { try kept.predict(ones(), state: second) }
        #expect(throws: Failure.self) { try plain.predict(ones(), state: first) }
        // Neither is in use for ever after.
        _ = try kept.predict(ones(), state: first)
        _ = try plain.predict(ones(), state: second)
    }

    @Test func aStateInUseIsRefused() throws {
        let predictor = try Predictor(model(counting), device: FakeDevice())
        let state = try predictor.makeState()
        var inner: Failure?
        _ = try predictor.predict(ones(), state: state) { _, _, _ in
            do { _ = try predictor.predict(ones(), state: state) } catch { inner = error as? Failure }
        }
        #expect(inner?.message.contains("in use") == true)
        #expect(try state.value(of: "count").double(at: 0) == 1)
    }

    @Test(arguments: [false, true]) func asynchronousPredictionsWithStates(isKept: Bool) async throws {
        let device: any Device = isKept ? KeepingDevice() : FakeDevice()
        let predictor = try Predictor(model(counting), device: device)
        let totals = try await withThrowingTaskGroup(of: Double.self) { group in
            for steps in 1...20 {
                group.addTask {
                    let state = try predictor.makeState()
                    for _ in 0..<steps { _ = try await predictor.predict(ones(), state: state) }
                    return try state.value(of: "count").double(at: 0)
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(totals.sorted() == (1...20).map(Double.init))
    }

    @Test func asynchronousPredictionsOfAllShapes() async throws {
        let predictor = try Predictor(model(open), device: FakeDevice())
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for index in 0..<40 {
                group.addTask {
                    let size = index % 5 + 1
                    let found = try await predictor.predict(ones(size, Float(index)))["y"]
                    return found?.array(of: Float.self) == [Float](repeating: Float(index), count: size)
                }
            }
            for try await isRight in group { #expect(isRight) }
        }
        let missing = await failure { _ = try await predictor.predict([:]) }
        #expect(missing?.message.contains("missing") == true)
    }

    @Test func whatIsCancelledBeforeItBeganIsNotBegun() async throws {
        let predictor = try Predictor(model(counting), device: FakeDevice())
        let state = try predictor.makeState()
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            _ = try await predictor.predict(ones(), state: state)
        }
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(try state.value(of: "count").double(at: 0) == 0)
        _ = try await predictor.predict(ones(), state: state)
    }

    @Test func aBatchGoesToTheDeviceByShape() throws {
        let device = KeepingDevice()
        let predictor = try Predictor(model(open), device: device)
        let found = try predictor.predict(batch: [ones(1, 3), ones(2, -1), ones(1, 4), ones(2, 5), ones(1, 6)])
        #expect(found.map { $0["y"]?.double(at: 0) } == [3, 0, 4, 5, 6])
        #expect(device.batches.withLock { $0.sorted() } == [2, 3])
        #expect(try predictor.predict(batch: []).isEmpty)
        #expect(throws: Failure.self) { try predictor.predict(batch: [ones(1, 3), [:]]) }
    }
}
