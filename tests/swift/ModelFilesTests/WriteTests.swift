import Foundation
import MIL
import Testing

@testable import ModelFiles

@Suite struct WriteTests {
    /// A program with a large constant, small ones of several types, and parameters that are left out.
    static func program() throws -> Program {
        var function = Function(name: "main", opset: "CoreML7")
        let x = function.input("x", .tensor(TensorType(.float32, [4, 6])))
        let big = function.constant(Tensor((0..<24).map { Float($0) / 4 }, shape: [4, 6]), name: "big")
        let sum = try function.append("add", name: "sum", ["x": [x], "y": [big]])
        let alpha = function.constant(Tensor(Float(0.5)), name: "al pha")
        let leaky = try function.append("leaky_relu", name: "3 leaky", ["x": sum, "alpha": [alpha]])
        let soft = try function.append("softmax", name: "soft", ["x": leaky])
        let dtype = function.constant(Tensor("fp16"), name: "dtype")
        let half = try function.append("cast", name: "half", ["x": soft, "dtype": [dtype]])
        function.block.outputs = [half[0], sum[0]]
        return Program(functions: [function])
    }

    @Test func whatIsWrittenIsReadAgain() throws {
        let path = try Fixtures.scratch() + "/out.mlpackage"
        var model = try Model(Self.program())
        model.metadata.author = "an author"
        model.metadata.userDefined = ["b": "2", "a": "1"]
        try writeModel(model, to: path)
        let again = try readModel(at: path)
        #expect(again.specificationVersion == 8)
        #expect(again.interfaces == model.interfaces)
        #expect(again.metadata == model.metadata)
        let function = try again.program.function()
        #expect(function.operations.map(\.op) == ["add", "leaky_relu", "softmax", "cast"])
        #expect(function.outputs.map { function[$0].name } == ["half", "sum"])
        // The axis was left out; the file says it.
        let axis = try #require(function.operations[2]["axis"]?.first)
        #expect(function[axis].constant?.ints == [-1])
        let big = try #require(function.operations[0]["y"]?.first)
        #expect(function[big].constant?.array(of: Float.self) == (0..<24).map { Float($0) / 4 })
        let names = function.values.map(\.name)
        #expect(Set(names).count == names.count)
        #expect(names.contains("al_pha") && names.contains("_3_leaky"))
    }

    @Test(arguments: Fixtures.all) func coremltoolsPackagesSurvive(_ name: String) throws {
        let path = try Fixtures.scratch() + "/out.mlpackage"
        let model = try readModel(at: Fixtures.package(name))
        try writeModel(model, to: path)
        let again = try readModel(at: path)
        #expect(again.interfaces == model.interfaces)
        #expect(again.metadata == model.metadata)
        let (a, b) = (try model.program.function(), try again.program.function())
        #expect(a.operations.map(\.op) == b.operations.map(\.op))
        for (old, new) in zip(a.operations, b.operations) {
            for argument in old.arguments {
                let constants = try #require(new[argument.name]).map { b[$0].constant }
                for (id, constant) in zip(argument.values, constants) {
                    let value = a[id].constant
                    #expect(value?.type == constant?.type && value?.strings == constant?.strings)
                    #expect(value.map { Array($0.bytes) } == constant.map { Array($0.bytes) })
                }
            }
        }
        #expect(a.outputs.map { a[$0].name } == b.outputs.map { b[$0].name })
    }

    @Test func writingIsReproducibleAndReplaces() throws {
        let folder = try Fixtures.scratch()
        let model = try Model(Self.program())
        try writeModel(model, to: folder + "/a.mlpackage")
        try writeModel(model, to: folder + "/b.mlpackage")
        try writeModel(model, to: folder + "/b.mlpackage/")
        for file in [
            "Manifest.json", "Data/com.apple.CoreML/model.mlmodel", "Data/com.apple.CoreML/weights/weight.bin",
        ] {
            let a = try Data(contentsOf: URL(filePath: folder + "/a.mlpackage/" + file))
            #expect(try Data(contentsOf: URL(filePath: folder + "/b.mlpackage/" + file)) == a)
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["a.mlpackage", "b.mlpackage"])
    }

    @Test func foldersOfOthersAreNotReplaced() throws {
        let folder = try Fixtures.scratch()
        let model = try Model(Self.program())
        #expect(try refusal { try writeModel(model, to: folder) }.kind == .invalidArgument)
        #expect(try refusal { try writeModel(model, to: folder + "/missing/x.mlpackage") }.kind == .notFound)
    }

    @Test func oldOpsetsGetNoNewParameters() throws {
        var function = Function(name: "main", opset: "CoreML5")
        let x = function.input("x", .tensor(TensorType(.float32, [4, 6])))
        function.block.outputs = [try function.append("reduce_argmax", name: "y", ["x": [x]])[0]]
        let path = try Fixtures.scratch() + "/out.mlpackage"
        try writeModel(Model(Program(functions: [function])), to: path)
        let again = try readModel(at: path)
        #expect(again.specificationVersion == 6)
        #expect(try again.program.function().operations[0]["output_dtype"] == nil)
    }

    @Test func severalFunctions() throws {
        var first = try Self.program().functions[0]
        var second = Function(name: "twice", opset: "CoreML7")
        let x = second.input("x", .tensor(TensorType(.float32, [2])))
        second.block.outputs = try second.append("add", name: "y", ["x": [x], "y": [x]])
        first.name = "once"
        let model = try Model(Program(functions: [first, second], defaultFunction: "twice"))
        let path = try Fixtures.scratch() + "/out.mlpackage"
        try writeModel(model, to: path)
        let again = try readModel(at: path)
        #expect(again.program.defaultFunction == "twice")
        #expect(again.program.functions.map(\.name) == ["once", "twice"])
        #expect(again.interfaces == model.interfaces)
    }
}
