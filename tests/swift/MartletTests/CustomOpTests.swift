import MIL
import Martlet
import Testing

/// Names are the process's: each test takes its own.
@Suite struct CustomOpTests {
    private func text(_ line: String) throws -> Model {
        try Model(Program(text: "program(1.3) { func main<ios18>(tensor<fp32, [2, 3]> x) { \(line) } -> (y); }"))
    }

    private func tensor(_ values: [Float]) -> Tensor { Tensor(values, shape: [2, 3]) }

    /// x times a factor, by a closure.
    private func scale(_ name: String, by constant: Float? = nil, isPure: Bool = false) throws -> Op {
        let custom = CustomOp(
            run: { outputs, inputs in
                let x = inputs[0].pointer.assumingMemoryBound(to: Float.self)
                let factor = constant ?? inputs[1].pointer.assumingMemoryBound(to: Float.self).pointee
                let y = outputs[0].pointer.assumingMemoryBound(to: Float.self)
                for index in 0..<inputs[0].type.count { y[index] = x[index] * factor }
            }, isPure: isPure)
        return try Op(
            name, "x times a factor.",
            [
                .tensor("x", "Numbers.", [.float32]),
                .constant("factor", "A factor.", [.float32], default: Tensor(Float(2))),
            ],
            outputs: [.init(.like("x"), .like("x"))], custom: custom)
    }

    @Test func aClosureIsPartOfTheLanguage() throws {
        try OpTable.register(scale("test_scale"))
        defer { try? OpTable.unregister("test_scale") }
        let x = tensor([1, 2, 3, 4, 5, 6])
        let predictor = try Predictor(text("h = add(x = x, y = x); y = test_scale(x = h, factor = 0.5);"))
        #expect(try predictor(["x": x])["y"]?.array(of: Float.self) == [1, 2, 3, 4, 5, 6])
        let plain = try Predictor(text("h = test_scale(x = x); y = relu(x = h);"))
        #expect(try plain(["x": x])["y"]?.array(of: Float.self) == [2, 4, 6, 8, 10, 12])
    }

    @Test func itIsACustomKernelToTheSelector() throws {
        #expect(try OperationType(of: scale("test_profiled"), .float32) == .customKernel)
    }

    @Test func whatWasCompiledKeepsItsOp() throws {
        try OpTable.register(scale("test_kept", by: 3))
        let generation = OpTable.generation
        let model = try text("y = test_kept(x = x);")
        let digest = model.program.digest
        let old = try Predictor(model)
        try OpTable.register(scale("test_kept", by: 5))
        #expect(OpTable.generation > generation)
        #expect(model.program.digest != digest)
        let new = try Predictor(model)
        try OpTable.unregister("test_kept")
        let x = tensor([1, 1, 1, 1, 1, 1])
        #expect(try old(["x": x])["y"]?.double(at: 0) == 3)
        #expect(try new(["x": x])["y"]?.double(at: 0) == 5)
        #expect(throws: Failure.self) { try text("y = test_kept(x = x);") }
        #expect(throws: Failure(.invalidArgument, "There is no custom op 'test_kept'.")) {
            try OpTable.unregister("test_kept")
        }
    }

    @Test func aFailureNamesTheOp() throws {
        let custom = CustomOp(run: { _, _ in throw Failure(.callback, "It is tired.") })
        let op = try Op(
            "test_tired", "Fails.", [.tensor("x", "Anything.")], outputs: [.init(.fixed(.int32), .broadcast)],
            custom: custom)
        try OpTable.register(op)
        defer { try? OpTable.unregister("test_tired") }
        let predictor = try Predictor(text("y = test_tired(x = x);"))
        #expect(predictor.outputs.first?.type == TensorType(.int32, [2, 3]))
        #expect(throws: Failure(.callback, "op 'test_tired' (y): It is tired.")) {
            try predictor(["x": tensor([1, 2, 3, 4, 5, 6])])
        }
    }

    @Test func constantsAreFoldedByPureOpsOnly() throws {
        let line = "c = test_folded(x = tensor<fp32, [2, 3]>([[1, 2, 3], [4, 5, 6]])); y = add(x = x, y = c);"
        defer { try? OpTable.unregister("test_folded") }
        for isPure in [false, true] {
            try OpTable.register(scale("test_folded", isPure: isPure))
            let steps = try Predictor(text(line)).plan.steps
            #expect(steps.contains { $0.ops == ["test_folded"] } == !isPure)
        }
    }

    @Test(arguments: ["relu", "const", "two words", "", "1st", "true", "é"]) func namesThatCannotBe(name: String) throws
    {
        let op = try scale(name)
        #expect(throws: Failure.self) { try OpTable.register(op) }
    }

    @Test func rowsThatCannotBe() throws {
        let custom = CustomOp(run: { _, _ in })
        let x = Op.Parameter.tensor("x", "Numbers.")
        let rows: [[Op.Parameter]] = [
            [x, x], [.tensor("name", "A name.")], [.tensor("a b", "Two words.")], [.tensor("x", "None.", [])],
            [.list("a", "One."), .list("b", "Two.")], [.constant("c", "Odd.", [.int32], default: Tensor(Float(1)))],
            [.tensor("x", "Absent.", optional: true)],
        ]
        for parameters in rows {
            let op = try Op("test_odd", "Odd.", parameters, outputs: [.init(.fixed(.bool), .fixed([]))], custom: custom)
            #expect(throws: Failure.self) { try OpTable.register(op) }
        }
        #expect(throws: Failure.self) {
            try Op("test_odd", "Odd.", [x], outputs: [.init(.like("y"), .broadcast)], custom: custom)
        }
    }

    @Test func threadsRegisterAndRun() async throws {
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<4 {
                group.addTask {
                    for turn in 0..<50 {
                        let name = "test_thread_\(task)"
                        guard let op = try? scale(name, by: Float(turn)) else { continue }
                        try? OpTable.register(op)
                        let y = try? Predictor(text("y = \(name)(x = x);"))(["x": tensor([1, 1, 1, 1, 1, 1])])["y"]
                        #expect(y?.double(at: 5) == Double(turn))
                        try? OpTable.unregister(name)
                    }
                }
            }
        }
    }
}
