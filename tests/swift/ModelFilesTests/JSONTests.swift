import MIL
import ModelFiles
import Testing

@Suite struct JSONTests {
    @Test func readsEveryKindOfValue() throws {
        let text = #" {"a": [1, -2.5e2, true, false, null], "b": "\u00e4\ud83d\ude00\n\"", "c": {}} "#
        let members: [JSON.Member] = [
            .init("a", .array([.integer(1), .number(-250), .bool(true), .bool(false), .null])),
            .init("b", .string("ä😀\n\"")), .init("c", .object([])),
        ]
        #expect(try JSON(parsing: text) == .object(members))
    }

    @Test func printsWhatItReads() throws {
        let document = JSON.object([
            .init("x", .array([.integer(.min), .number(0.1), .string("\u{1}\\"), .object([]), .array([])])),
            .init("y", .null),
        ])
        #expect(try JSON(parsing: document.description) == document)
        #expect(try JSON(parsing: document.pretty) == document)
        #expect(document.description == #"{"x": [-9223372036854775808, 0.1, "\u0001\\", {}, []], "y": null}"#)
    }

    @Test(arguments: [
        "", " ", "{", "[1,]", "[1 2]", "{\"a\"}", "{\"a\":1,}", "01", "1.", "-", "+1", "1e", ".5", "nul", "\"",
        "\"\\x\"", "\"\\u12\"",
        "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\u{1}\"", "1 2", "{\"a\":1,\"a\":2}", "1e999", "NaN", "'a'", "[", "tru",
    ])
    func refusesWhatIsNotJSON(_ text: String) {
        #expect(throws: Failure.self) { try JSON(parsing: text) }
    }

    @Test func deepNestingIsRefused() {
        #expect(throws: Failure.self) { try JSON(parsing: String(repeating: "[", count: 100_000)) }
        let fair = String(repeating: "[", count: 100) + String(repeating: "]", count: 100)
        #expect(throws: Never.self) { try JSON(parsing: fair) }
    }
}
