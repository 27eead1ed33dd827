import FakeDevice
import Synchronization
import Testing

@testable import Martlet

/// A model from MIL text with the interface of the function itself.
func model(_ text: String) throws -> Model { try Model(Program(text: text)) }

private let sum = """
    program(1.3) { func main<ios18>(tensor<fp32, [2, 3]> a, tensor<fp32, [2, 3]> b) {
        tensor<fp32, [2, 3]> c = add(x = a, y = b)[name = string("c")];
        tensor<fp32, [2, 3]> d = mul(x = a, y = c)[name = string("d")];
    } -> (d, c); }
    """

private let open = """
    program(1.3) { func main<ios18>(tensor<fp32, [1, ?]> x) {
        tensor<fp32, [1, ?]> y = relu(x = x)[name = string("y")];
    } -> (y); }
    """

private func flexible(_ flexibility: Feature.MultiArray.Flexibility) throws -> Model {
    var result = try model(open)
    result.interfaces[0].inputs = [Feature("x", .multiArray(.init(.float32, [1, 2], flexibility)))]
    return result
}

private func failure(_ body: () throws -> Void) -> Failure? {
    do { try body() } catch { return error as? Failure }
    return nil
}

@Suite struct PredictorTests {
    let device = FakeDevice()

    @Test func predictsByName() throws {
        let predictor = try Predictor(model(sum), device: device)
        #expect(predictor.inputs.map(\.name) == ["a", "b"])
        #expect(predictor.outputs.map(\.name) == ["d", "c"])
        #expect(predictor.outputs[0].type == TensorType(.float32, [2, 3]))
        let a = Tensor([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3])
        let results = try predictor(["b": a, "a": a])
        #expect(results["c"]?.array(of: Float.self) == [2, 4, 6, 8, 10, 12])
        #expect(results["d"]?.array(of: Float.self) == [2, 8, 18, 32, 50, 72])
        #expect(try predictor.plan.steps.map(\.ops) == [["add"], ["mul"]])
        #expect(device.compileCount == 1)
    }

    @Test func observesEveryStep() throws {
        let predictor = try Predictor(model(sum), device: device)
        let a = Tensor([Float](repeating: 2, count: 6), shape: [2, 3])
        var seen: [Int: Double] = [:]
        _ = try predictor.predict(["a": a, "b": a]) { step, _, result in seen[step] = result()?.double(at: 0) }
        #expect(seen == [0: 4, 1: 8])
    }

    @Test func sayWhatIsWrongWithAnInput() throws {
        let predictor = try Predictor(model(sum), device: device)
        let good = Tensor([Float](repeating: 0, count: 6), shape: [2, 3])
        let cases: [([String: Tensor], Failure.Kind, String)] = [
            (["a": good, "x": good], .invalidArgument, "There is no input 'x'; there are 'a', 'b'."),
            (["a": good], .invalidArgument, "The input 'b' is missing; there are 'a', 'b'."),
            (
                ["a": good, "b": good.reshaped([3, 2])], .invalidArgument,
                "The input 'b' has shape [3, 2]; it must be [2, 3]."
            ),
            (
                ["a": good, "b": good.reshaped([6])], .invalidArgument,
                "The input 'b' has 1 dimensions, [6]; it must have 2, [2, 3]."
            ),
            (
                ["a": good, "b": Tensor([Int32](repeating: 0, count: 6), shape: [2, 3])], .wrongType,
                "The input 'b' is int32; it must be fp32."
            ),
        ]
        for (inputs, kind, message) in cases {
            #expect(failure { _ = try predictor.predict(inputs) } == Failure(kind, message))
        }
        #expect(
            failure { _ = try predictor.run([good]) }?.message == "1 inputs are given where 2 are needed: 'a', 'b'.")
    }

    @Test func compilesOncePerShape() throws {
        let predictor = try Predictor(flexible(.ranges([.init(1, 1), .init(1, nil)])), device: device)
        #expect(device.compileCount == 0)
        #expect(predictor.inputs[0].type.shape == [1, -1])
        for _ in 0..<3 {
            for size in 1...16 {
                let x = Tensor([Float](repeating: -1, count: size), shape: [1, size])
                #expect(try predictor(["x": x])["y"]?.shape == [1, size])
            }
        }
        #expect(device.compileCount == 16)
        // One shape more takes the place of the one used longest ago, and only of that.
        _ = try predictor(["x": Tensor([Float](repeating: 0, count: 17), shape: [1, 17])])
        _ = try predictor(["x": Tensor([Float](repeating: 0, count: 16), shape: [1, 16])])
        #expect(device.compileCount == 17)
        _ = try predictor(["x": Tensor([Float](repeating: 0, count: 1), shape: [1, 1])])
        #expect(device.compileCount == 18)
    }

    @Test func refusesShapesOutsideTheRange() throws {
        let predictor = try Predictor(flexible(.ranges([.init(1, 1), .init(2, 4)])), device: device)
        let x = Tensor([Float](repeating: 0, count: 5), shape: [1, 5])
        #expect(
            failure { _ = try predictor(["x": x]) }?.message == "The input 'x' has shape [1, 5]; it must be [1, 2…4].")
        #expect(try predictor.plan.steps[0].type.shape == [1, 2])
    }

    @Test func refusesShapesThatAreNotListed() throws {
        let predictor = try Predictor(flexible(.enumerated([[1, 2], [1, 8]])), device: device)
        let x = Tensor([Float](repeating: 0, count: 4), shape: [1, 4])
        #expect(
            failure { _ = try predictor(["x": x]) }?.message
                == "The input 'x' has shape [1, 4]; it must be one of [1, 2], [1, 8].")
        #expect(try predictor(["x": Tensor([Float](repeating: 0, count: 8), shape: [1, 8])])["y"]?.shape == [1, 8])
    }

    @Test func convertsWhereTheInterfaceDiffers() throws {
        var half = try model(
            """
            program(1.3) { func main<ios18>(tensor<fp16, [3]> x) {
                tensor<fp16, [3]> y = add(x = x, y = x)[name = string("y")];
            } -> (y); }
            """)
        half.interfaces[0].inputs = [Feature("x", .multiArray(.init(.float32, [3])))]
        half.interfaces[0].outputs = [Feature("y", .multiArray(.init(.float64, [3])))]
        let predictor = try Predictor(half, device: device)
        let y = try #require(try predictor(["x": Tensor([0.1, 1, 40000] as [Float])])["y"])
        #expect(y.array(of: Double.self) == [0.199951171875, 2, .infinity])
    }

    @Test func fillsOptionalInputs() throws {
        var optional = try model(sum)
        optional.interfaces[0].inputs[1].isOptional = true
        optional.interfaces[0].inputs[1].kind = .multiArray(.init(.float32, [2, 3], defaultValue: 5))
        let predictor = try Predictor(optional, device: device)
        let a = Tensor([Float](repeating: 1, count: 6), shape: [2, 3])
        #expect(try predictor(["a": a])["c"]?.array(of: Float.self) == [Float](repeating: 6, count: 6))
    }

    @Test func arrangesInputsAndOutputs() throws {
        var turned = try model(sum)
        turned.interfaces[0].inputs.reverse()
        turned.interfaces[0].outputs.reverse()
        let predictor = try Predictor(turned, device: device)
        let (one, two) = (
            Tensor([Float](repeating: 1, count: 6), shape: [2, 3]),
            Tensor([Float](repeating: 2, count: 6), shape: [2, 3])
        )
        let results = try predictor.run([one, two])
        #expect(results.map { $0.double(at: 0) } == [3, 6])
    }

    @Test func namesTheMostProbableLabel() throws {
        var classifier = try model(
            """
            program(1.3) { func main<ios18>(tensor<fp32, [1, 3]> x) {
                tensor<fp32, [1, 3]> scores = relu(x = x)[name = string("scores")];
            } -> (scores); }
            """)
        classifier.interfaces[0].outputs = [Feature("label", .string), Feature("all", .dictionary(key: .string))]
        classifier.interfaces[0].classifier = .init(
            scores: "scores", labels: .strings(["cat", "dog", "bird"]), labelFeature: "label",
            probabilitiesFeature: "all")
        let predictor = try Predictor(classifier, device: device)
        let results = try predictor(["x": Tensor([0, 2, 1] as [Float], shape: [1, 3])])
        #expect(results["label"]?.strings == ["dog"])
        #expect(results["all"]?.array(of: Float.self) == [0, 2, 1])
        #expect(predictor.interface.labels(of: "all") == .strings(["cat", "dog", "bird"]))
        #expect(predictor.interface.labels(of: "scores") == nil)
        let features = try predictor.predictFeatures(["x": Tensor([0, 2, 1] as [Float], shape: [1, 3])])
        #expect(features["label"]?.label == "dog")
        #expect(features["all"]?.dictionary == ["cat": 0, "dog": 2, "bird": 1])
    }

    @Test func labelsMayBeIntegers() throws {
        var classifier = try model(
            """
            program(1.3) { func main<ios18>(tensor<fp32, [2]> x) {
                tensor<fp32, [2]> scores = relu(x = x)[name = string("scores")];
            } -> (scores); }
            """)
        classifier.interfaces[0].outputs += [Feature("label", .int64), Feature("all", .dictionary(key: .int64))]
        classifier.interfaces[0].classifier = .init(
            scores: "scores", labels: .integers([7, -9]), labelFeature: "label", probabilitiesFeature: "all")
        let predictor = try Predictor(classifier, device: device)
        let features = try predictor.predictFeatures(["x": Tensor([0.5, 1] as [Float], shape: [2])])
        #expect(features["label"]?.label == -9)
        #expect(features["all"]?.dictionary == [7: 0.5, -9: 1])
        #expect(features["scores"]?.tensor?.array(of: Float.self) == [0.5, 1])
    }

    @Test func tensorsThatAreNoSuchFeature() throws {
        let numbers = Tensor([1, 2] as [Float], shape: [2])
        for kind: Feature.Kind in [.string, .int64, .double, .dictionary(key: .string)] {
            #expect(throws: Failure.self) { try FeatureValue(numbers, as: kind, labels: .strings(["one"])) }
        }
    }

    @Test func threadsShareAFlexiblePredictor() async throws {
        let predictor = try Predictor(flexible(.ranges([.init(1, 1), .init(1, 64)])), device: device)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    for turn in 0..<500 {
                        let size = (turn * 7 + task) % 24 + 1
                        let x = Tensor([Float](repeating: Float(turn), count: size), shape: [1, size])
                        let y = try predictor.run([x])[0]
                        #expect(y.shape == [1, size] && y.double(at: size - 1) == Double(turn))
                    }
                }
            }
            try await group.waitForAll()
        }
    }
}

@Suite struct DeviceTests {
    @Test func everyDeviceHasItsOwnName() {
        let names = allDevices().map(\.name)
        #expect(Set(names).count == names.count)
        #expect(Set(names).isSuperset(of: ["cpu", "metal", "coreml", "coreml:cpu", "coreml:gpu", "coreml:ane"]))
    }

    @Test func aWrongNameListsTheRightOnes() {
        let failure = failure { _ = try Martlet.device(named: "tpu") }
        #expect(failure?.kind == .invalidArgument)
        #expect(failure?.message.contains("'cpu'") == true)
    }

    @Test(.enabled(if: !DeviceManager.isCoreMLAvailable()), arguments: ["metal", "coreml", "coreml:ane"])
    func applesEnginesRefuseWithAReason(name: String) throws {
        #expect(failure { _ = try Martlet.device(named: name) }?.kind == .unsupported)
        let device = try #require(allDevices().first { $0.name == name })
        #expect(!device.availability.isAvailable)
        #expect(failure { _ = try device.compile(Function()) }?.kind == .unsupported)
    }
}
