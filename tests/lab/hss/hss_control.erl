%% One line in, one line out: the commands of a scenario to the HSS.
-module(hss_control).
-export([serve/3]).

serve(Ip, Port, Command) ->
    {ok, Listener} = gen_tcp:listen(Port, [{ip, Ip}, {packet, line}, {active, false},
                                           {reuseaddr, true}]),
    accept(Listener, Command).

accept(Listener, Command) ->
    {ok, Socket} = gen_tcp:accept(Listener),
    spawn(fun() -> receive go -> converse(Socket, Command) end end)
        ! go,
    accept(Listener, Command).

converse(Socket, Command) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, Line} ->
            Answer = try Command(string:lexemes(Line, " \r\n"))
                     catch Class:Reason -> io_lib:format("failed ~0p", [{Class, Reason}])
                     end,
            ok = gen_tcp:send(Socket, [Answer, "\n"]),
            converse(Socket, Command);
        {error, _} ->
            gen_tcp:close(Socket)
    end.
