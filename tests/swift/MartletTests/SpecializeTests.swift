import FakeDevice
import MIL
import Testing

@testable import Martlet
@testable import Passes

@Suite struct SpecializeTests {
    private func function(_ text: String) throws -> Function { try Program(text: text).function() }

    @Test func everyDimensionBecomesKnown() throws {
        let open = try function(
            """
            program(1.3) { func main<ios18>(tensor<fp32, [?, 2, ?]> x, tensor<fp32, [1]> w) {
                tensor<fp32, [?, 2, ?]> y = relu(x = x)[name = string("y")];
                tensor<fp32, [?, 2, ?]> z = add(x = y, y = w)[name = string("z")];
            } -> (z); }
            """)
        let closed = try specialize(open, inputs: [TensorType(.float32, [3, 2, 5]), TensorType(.float32, [1])])
        #expect(try closed.outputs.map(closed.tensorType) == [TensorType(.float32, [3, 2, 5])])
        #expect(closed.operations.map(\.op) == ["relu", "add"])
    }

    @Test func computedShapesReachReshape() throws {
        let open = try function(
            """
            program(1.3) { func main<ios18>(tensor<fp32, [?, ?]> x) {
                tensor<int32, [2]> size = shape(x = x)[name = string("size")];
                tensor<int32, [1]> one = const()[name = string("one"), val = tensor<int32, [1]>([1])];
                tensor<int32, [3]> target = concat(values = (one, size), axis = int32(0), interleave = bool(false))[name = string("target")];
                tensor<fp32, [1, ?, ?]> y = reshape(x = x, shape = target)[name = string("y")];
            } -> (y); }
            """)
        let x = TensorType(.float32, [4, 6])
        let closed = try specialize(open, inputs: [x], evaluate: FakeDevice.evaluate)
        #expect(try closed.outputs.map(closed.tensorType) == [TensorType(.float32, [1, 4, 6])])
        #expect(closed.operations.map(\.op) == ["reshape"])

        #expect(throws: Failure.self) { try specialize(open, inputs: [x]) }
    }

    @Test func aPredictorFoldsComputedShapes() throws {
        var open = try model(
            """
            program(1.3) { func main<ios18>(tensor<fp32, [?, ?]> x) {
                tensor<int32, [2]> size = shape(x = x)[name = string("size")];
                tensor<int32, [1]> one = const()[name = string("one"), val = tensor<int32, [1]>([1])];
                tensor<int32, [3]> target = concat(values = (size, one), axis = int32(0), interleave = bool(false))[name = string("target")];
                tensor<fp32, [?, ?, 1]> y = reshape(x = x, shape = target)[name = string("y")];
            } -> (y); }
            """)
        open.interfaces[0].inputs = [
            Feature("x", .multiArray(.init(.float32, [2, 2], .ranges([.init(1, 9), .init(1, 9)]))))
        ]
        let predictor = try Predictor(open, device: FakeDevice(), function: nil, evaluate: FakeDevice.evaluate)
        let y = try predictor(["x": Tensor([1, 2, 3] as [Float], shape: [3, 1])])["y"]
        #expect(y?.shape == [3, 1, 1])
    }

    @Test func theNumberOfInputsMustFit() throws {
        let open = try function(
            "program(1.3) { func main<ios18>(tensor<fp32, [?]> x) { tensor<fp32, [?]> y = relu(x = x)[name = string(\"y\")]; } -> (y); }"
        )
        #expect(throws: Failure(.invalidArgument, "The function 'main' has 1 inputs, not 0.")) {
            try specialize(open, inputs: [])
        }
    }
}
