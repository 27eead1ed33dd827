import Martlet
import Testing

/// Core ML's own asynchronous predictions, where it is there: on a Mac, or with the stand-ins.
@Suite(.enabled(if: DeviceManager.isCoreMLAvailable()))
struct CoreMLTests {
    @Test func predictionsMayOverlap() async throws {
        var function = Function(opset: "CoreML8")
        let x = function.input("x", .tensor(TensorType(.float32, [5, 3])))
        function.block.outputs = try function.append("add", name: "y", ["x": [x], "y": [x]])
        let twice = try Predictor(Model(Program(functions: [function])), device: "coreml")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<40 {
                group.addTask {
                    let x = Tensor([Float](repeating: Float(number), count: 15), shape: [5, 3])
                    let y = try await twice.predict(["x": x])["y"]
                    #expect(y?.array(of: Float.self) == [Float](repeating: Float(2 * number), count: 15))
                }
            }
            try await group.waitForAll()
        }
    }

    /// Plans come by an asynchronous call: waiting for it on all of Swift's threads must not keep it from running.
    @Test func plansAreReadOnManyThreads() async throws {
        var function = Function(opset: "CoreML8")
        let x = function.input("x", .tensor(TensorType(.float32, [3])))
        function.block.outputs = try function.append("relu", name: "y", ["x": [x]])
        let model = try Model(Program(functions: [function]))
        let steps = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<32 { group.addTask { try Predictor(model, device: "coreml").plan.steps.count } }
            return try await group.reduce(0, +)
        }
        #expect(steps == 32)
    }

    @Test func failuresOfTheCallerAreTold() async throws {
        var function = Function(opset: "CoreML8")
        let x = function.input("x", .tensor(TensorType(.float32, [2])))
        function.block.outputs = try function.append("relu", name: "y", ["x": [x]])
        let relu = try Predictor(Model(Program(functions: [function])), device: "coreml")
        await #expect(throws: Failure.self) { try await relu.predict(["x": Tensor([Float(1), 2, 3])]) }
    }
}
